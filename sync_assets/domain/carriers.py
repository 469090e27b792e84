"""Carriers: our codes for what warehouses call them, names for people, pages, and safe guesses.

How a carrier's answers are read is not here (mappers/tracking). A name that is not understood has
no code, and a number that does not prove whose it is has no carrier: nothing is guessed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from sync_assets.domain.tracking import folded


@dataclass(frozen=True)
class Carrier:
    """A carrier as people know it; `{}` in the page stands for the tracking number."""

    name: str
    page: str | None = None


_DHL = "https://www.dhl.com/global-en/home/tracking.html?submit=1&tracking-id={}"
_USPS = "https://tools.usps.com/go/TrackConfirmAction?tLabels={}"

CARRIERS: Mapping[str, Carrier] = {
    "amazon": Carrier("Amazon Logistics", "https://track.amazon.com/tracking/{}"),
    "asendia": Carrier("Asendia"),
    "australiapost": Carrier("Australia Post", "https://auspost.com.au/mypost/track/details/{}"),
    "bpost": Carrier("bpost", "https://track.bpost.cloud/btr/web/#/search?itemCode={}"),
    "canadapost": Carrier(
        "Canada Post", "https://www.canadapost-postescanada.ca/track-reperage/en#/details/{}"
    ),
    "chronopost": Carrier(
        "Chronopost", "https://www.chronopost.fr/tracking-no-cms/suivi-page?listeNumerosLT={}"
    ),
    "deutschepost": Carrier(
        "Deutsche Post",
        "https://www.deutschepost.de/de/s/sendungsverfolgung.html?piececode={}",
    ),
    "dhl_ecommerce": Carrier("DHL eCommerce", _DHL),
    "dhl_express": Carrier("DHL Express", _DHL),
    "dhl_parcel_de": Carrier(
        "DHL Paket",
        "https://www.dhl.de/de/privatkunden/pakete-empfangen/verfolgen.html?piececode={}",
    ),
    "dhl_poland": Carrier("DHL Parcel Polska", _DHL),
    "dhl_universal": Carrier("DHL", _DHL),
    "dpd": Carrier("DPD", "https://tracking.dpd.de/status/en_US/parcel/{}"),
    "evri": Carrier("Evri", "https://www.evri.com/track/parcel/{}/details"),
    "fedex": Carrier("FedEx", "https://www.fedex.com/fedextrack/?trknbr={}"),
    "gls": Carrier("GLS", "https://gls-group.eu/GROUP/en/parcel-tracking?match={}"),
    "hermes": Carrier(
        "Hermes",
        "https://www.myhermes.de/empfangen/sendungsverfolgung/sendungsinformation#{}",
    ),
    "landmark": Carrier(
        "Landmark Global", "https://mercury.landmarkglobal.com/tracking/track.php?trck={}"
    ),
    "laposte": Carrier("La Poste", "https://www.laposte.fr/outils/suivre-vos-envois?code={}"),
    "mydhl": Carrier("DHL Express (MyDHL)", _DHL),
    "ontrac": Carrier("OnTrac", "https://www.ontrac.com/tracking/?number={}"),
    "parcelforce": Carrier("Parcelforce", "https://www.parcelforce.com/track-trace?trackNumber={}"),
    "parcelone": Carrier("Parcel.One"),
    "postnl": Carrier("PostNL"),
    "purolator": Carrier("Purolator", "https://www.purolator.com/en/shipping/tracker?pin={}"),
    "royalmail": Carrier(
        "Royal Mail", "https://www.royalmail.com/track-your-item#/tracking-results/{}"
    ),
    "sendle": Carrier("Sendle", "https://track.sendle.com/tracking?ref={}"),
    "spring": Carrier("Spring GDS", "https://mailingtechnology.com/tracking/?tn={}"),
    "teleship": Carrier("Teleship"),
    "tnt": Carrier("TNT"),
    "ups": Carrier("UPS", "https://www.ups.com/track?tracknum={}"),
    "usps": Carrier("USPS", _USPS),
    "usps_international": Carrier("USPS International", _USPS),
    "yodel": Carrier("Yodel", "https://www.yodel.co.uk/tracking/{}"),
}

#: What warehouses write, as whole words; where two fit at one place, the earlier line counts.
_WRITTEN = [
    (re.compile(rf"\b(?:{words})\b"), code)
    for words, code in (
        (r"usps.*international|first class (?:package )?international", "usps_international"),
        (r"usps|us postal service|united states postal service", "usps"),
        (r"ups|united parcel service", "ups"),
        (r"fedex|fed ex|federal express", "fedex"),
        (r"dhl (?:paket|packchen|warenpost|parcel (?:de|germany))", "dhl_parcel_de"),
        (r"dhl24|dhl (?:parcel )?(?:polska|poland|pl)", "dhl_poland"),
        (r"dhl (?:e ?commerce|global mail|parcel uk|smartmail)", "dhl_ecommerce"),
        (r"dhl express|dhl (?:domestic )?worldwide|dhl.* express", "dhl_express"),
        (r"dhl", "dhl_universal"),
        (r"deutsche post", "deutschepost"),
        (r"royal ?mail", "royalmail"),
        (r"parcel ?force", "parcelforce"),
        (r"(?:my ?hermes|hermes) (?:uk|parcelnet)|evri", "evri"),
        (r"my ?hermes|hermes", "hermes"),
        (r"yodel", "yodel"),
        (r"dpd|interlink", "dpd"),
        (r"gls|general logistics systems", "gls"),
        (r"on ?trac|laser ?ship", "ontrac"),
        (r"amazon(?: logistics)?|amzl", "amazon"),
        (r"canada post|postes canada|canadapost", "canadapost"),
        (r"australia post|auspost|australiapost", "australiapost"),
        (r"purolator", "purolator"),
        (r"bpost|bpack", "bpost"),
        (r"chronopost", "chronopost"),
        (r"la ?poste|colissimo|lettre suivie", "laposte"),
        (r"post ?nl", "postnl"),
        (r"tnt", "tnt"),
        (r"sendle", "sendle"),
        (r"asendia", "asendia"),
        (r"landmark global", "landmark"),
        (r"parcel ?one", "parcelone"),
        (r"spring (?:gds|xbs|global)", "spring"),
        (r"teleship", "teleship"),
    )
]


_LONGEST = 200  # no name is longer


def carrier_code(words: str) -> str | None:
    """Our code of what somebody called a carrier; None if it names none we know.

    Of two carriers the first named counts: it has the parcel, the other delivers it.
    """
    said = _plain(words[:_LONGEST])
    if said in _BY_CODE:
        return _BY_CODE[said]
    found = [
        (match.start(), line, code)
        for line, (pattern, code) in enumerate(_WRITTEN)
        if (match := pattern.search(said))
    ]
    return min(found)[2] if found else None


def carrier_name(code: str) -> str:
    """A carrier's name for people; a code nobody knows stands for itself."""
    return CARRIERS[code].name if code in CARRIERS else code


def tracking_url(code: str, number: str) -> str | None:
    """The carrier's public page of a parcel, if it has one that a number alone opens."""
    page = CARRIERS[code].page if code in CARRIERS else None
    plain = folded(number)
    if page is None or not any(c.isdigit() for c in plain):
        return None
    return page.format(quote(plain))


def guess_carrier(number: str) -> str | None:
    """Whose number it is, where format and check digit prove it; None when unsure."""
    plain = folded(number)
    if not plain.isascii():
        return None
    if _UPS.fullmatch(plain):
        return "ups" if _ups_digit(plain[2:17]) == plain[17] else None
    if _S10.fullmatch(plain):
        return _postal(plain) if _s10_digit(plain[2:10]) == plain[10] else None
    if _IMPB.fullmatch(plain) and _gs1_digit(plain[:-1]) == plain[-1]:
        return "usps"
    if _DHL_SSCC.fullmatch(plain) and _gs1_digit(plain[:-1]) == plain[-1]:
        return "dhl_parcel_de"
    return None


_UPS = re.compile(r"1Z[0-9A-Z]{15}[0-9]")
_S10 = re.compile(r"[A-Z]{2}[0-9]{9}[A-Z]{2}")
#: Package barcodes of 22 digits; those that begin otherwise are other carriers', too.
_IMPB = re.compile(r"9[2-5][0-9]{20}")
#: Deutsche Post DHL's own company prefix in the shipping container code.
_DHL_SSCC = re.compile(r"00340434[0-9]{12}")
_POSTS = {
    "AU": "australiapost",
    "BE": "bpost",
    "CA": "canadapost",
    "FR": "laposte",
    "GB": "royalmail",
    "NL": "postnl",
    "US": "usps",
}


def _postal(number: str) -> str | None:
    country = number[-2:]
    if country == "DE":
        # Parcels go by DHL, registered and tracked letters by Deutsche Post.
        return {"C": "dhl_parcel_de", "R": "deutschepost", "L": "deutschepost"}.get(number[0])
    return _POSTS.get(country)


def _ups_digit(body: str) -> str:
    values = [int(c) if c.isdigit() else (ord(c) - 63) % 10 for c in body]
    return str(-(sum(values[::2]) + 2 * sum(values[1::2])) % 10)


def _s10_digit(serial: str) -> str:
    weighted = sum(
        int(c) * weight for c, weight in zip(serial, (8, 6, 4, 2, 3, 5, 9, 7), strict=True)
    )
    return str({10: 0, 11: 5}.get(rest := 11 - weighted % 11, rest))


def _gs1_digit(body: str) -> str:
    digits = [int(c) for c in reversed(body)]
    return str(-(3 * sum(digits[::2]) + sum(digits[1::2])) % 10)


def _plain(words: str) -> str:
    bare = words.casefold().replace("ä", "a")
    return " ".join(re.sub(r"[^a-z0-9]+", " ", bare).split())


_BY_CODE = {_plain(code): code for code in CARRIERS}
