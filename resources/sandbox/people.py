"""Invented people: names, addresses and e-mail addresses made from a country and a number, the
same ones each time. Some carry emoji, accents or a right-to-left script, as customers do.

Mail goes to example.com and telephone numbers come from the ranges set aside for fiction.
"""

import unicodedata
from dataclasses import dataclass
from random import Random

#: Country to given names, family names, streets and (city, region, postcode pattern).
Names = tuple[str, ...]
Places = tuple[tuple[str, str, str], ...]

ENGLISH = (
    ("Alice", "Ben", "Carla", "Dana", "Elliot", "Fay", "Gus", "Hana", "Ivor", "June", "Siân"),
    ("Archer", "Brook", "Carver", "Dale", "Ellery", "Frost", "O’Hara", "Harte", "Inglis", "Nuñez"),
    ("Probe St", "Sample Ave", "Orchard Rd", "Mill Lane", "Quarry Hill"),
)
GERMAN = (
    ("Anke", "Björn", "Clara", "Dörte", "Emil", "Frauke", "Günter", "Heike", "Jürgen", "Zoë"),
    ("Ackermann", "Böhm", "Döring", "Eßer", "Fröhlich", "Groß", "Hübner", "Jäger", "Köhler"),
    ("Musterweg", "Beispielstraße", "Am Prüfstein", "Schloßallee"),
)
OTHERS = (
    ("Aïcha", "Bruno", "Chloé", "Dimitra", "Elif", "Fernão", "Gaëlle", "Håkon", "Łucja", "Søren"),
    ("Andersen", "Brzęk", "Çelik", "Dubois", "Eriksen", "Ferreira", "García", "Ivanič", "Ørsted"),
    ("Rue de l’Exemple", "Calle Muestra", "Via Esempio", "Prøvegade"),
)
RIGHT_TO_LEFT = (
    ("ليلى", "يوسف", "נועה", "דניאל"),
    ("الحداد", "منصور", "לוי", "בן־ארי"),
)
EMOJI = ("🌻", "🚲", "👩‍🌾", "🎈")

PLACES: dict[str, Places] = {
    "US": (
        ("Fresno", "CA", "9365#"),
        ("Oakland", "CA", "9460#"),
        ("San José", "CA", "9511#"),
    ),
    "GB": (("Leeds", "", "LS1 #ZZ"), ("Cardiff", "", "CF10 #ZZ"), ("Exeter", "", "EX4 #ZZ")),
    "DE": (("Köln", "", "5066#"), ("Lübeck", "", "2355#"), ("München", "", "8033#")),
}
CITY = {
    "AE": "Dubai",
    "AT": "Graz",
    "AU": "Hobart",
    "BE": "Liège",
    "BH": "Manama",
    "BR": "São Paulo",
    "CA": "Montréal",
    "CH": "Zürich",
    "CY": "Larnaca",
    "CZ": "Plzeň",
    "DK": "Ærøskøbing",
    "ES": "Cádiz",
    "FI": "Jyväskylä",
    "FR": "Orléans",
    "GR": "Patras",
    "HK": "Kowloon",
    "IE": "Dún Laoghaire",
    "IL": "Haifa",
    "IS": "Reykjavík",
    "IT": "Forlì",
    "JE": "St Helier",
    "JP": "Osaka",
    "LB": "Byblos",
    "LT": "Šiauliai",
    "MT": "Mdina",
    "NL": "Utrecht",
    "NO": "Tromsø",
    "PL": "Łódź",
    "PT": "Évora",
    "SA": "Jeddah",
    "SE": "Malmö",
    "SG": "Singapore",
    "ZA": "Durban",
}
PHONE = {"US": "+1 559-555-01##", "GB": "+44 1632 960###", "DE": "+49 30 23125 ###"}


@dataclass(frozen=True, slots=True)
class Person:
    """Who ordered, and where the bill and the parcel go."""

    first_name: str
    last_name: str
    company: str
    street: str
    street2: str
    city: str
    region: str
    postcode: str
    country: str  # ISO 3166 alpha-2, empty where the source names no country
    email: str
    phone: str


def person(country: str, number: int | str) -> Person:
    """Invent the person `number` of a country; the same arguments give the same person."""
    dice = Random(f"person:{country}:{number}")  # noqa: S311
    first, last = _name(country, dice)
    streets = _pool(country)[2]
    city, region, postcode = dice.choice(
        PLACES.get(country, ((CITY.get(country, ""), "", "####"),))
    )
    return Person(
        first_name=first,
        last_name=last,
        company=f"{last} & Co" if dice.random() < 0.06 else "",
        street=f"{dice.choice(streets)} {dice.randint(1, 180)}",
        street2=f"Ring twice {dice.choice(EMOJI)}" if dice.random() < 0.03 else "",
        city=city,
        region=region,
        postcode=_digits(postcode, dice),
        country=country,
        email=f"{_ascii(f'{first}.{last}')}.{number}@example.com".lower(),
        phone=_digits(PHONE.get(country, ""), dice),
    )


def _pool(country: str) -> tuple[Names, Names, Names]:
    if country in ("US", "GB"):
        return ENGLISH
    return GERMAN if country in ("DE", "AT", "CH") else OTHERS


def _name(country: str, dice: Random) -> tuple[str, str]:
    firsts, lasts, _ = _pool(country)
    kind = dice.random()
    if kind < 0.04:
        firsts, lasts = RIGHT_TO_LEFT
    first = dice.choice(firsts)
    return (f"{first} {dice.choice(EMOJI)}" if kind > 0.97 else first), dice.choice(lasts)


def _digits(pattern: str, dice: Random) -> str:
    return "".join(str(dice.randint(0, 9)) if sign == "#" else sign for sign in pattern)


def _ascii(text: str) -> str:
    """The letters of `text` an address can carry; a name in another script leaves none."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    kept = "".join(sign for sign in plain if sign.isalnum() or sign == ".")
    return kept.strip(".") or "customer"
