"""Answers that are no tracking: which of our five reasons it is, said in one short sentence.

A carrier's sentence may quote what we sent (one sample quotes a password), so quoted values and
e-mail addresses are blotted out.
"""

import re

from sync_assets.domain.carriers import carrier_name
from sync_assets.domain.orders import Problem
from sync_assets.mappers.tracking.shape import Failure
from sync_assets.mappers.tracking.words import plain

NOT_FOUND = "tracking.not_found"
NOT_AUTHORISED = "tracking.not_authorised"
NO_EVENTS = "tracking.no_events"
MALFORMED = "tracking.malformed"
CARRIER_ERROR = "tracking.carrier_error"

#: The carriers' own error codes; an HTTP status inside the answer is one too, but for 400, which is
#: said of everything. What is not here is judged by its words.
_CODES = {
    "401": NOT_AUTHORISED,
    "403": NOT_AUTHORISED,
    "404": NOT_FOUND,
    "429": CARRIER_ERROR,
    "500": CARRIER_ERROR,
    "503": CARRIER_ERROR,
    # UPS
    "TW0001": NOT_FOUND,
    "TV1002": NOT_FOUND,
    "250002": NOT_AUTHORISED,
    "250003": NOT_AUTHORISED,
    # FedEx
    "TRACKING.TRACKINGNUMBER.NOTFOUND": NOT_FOUND,
    "TRACKING.TRACKINGNUMBER.INVALID": NOT_FOUND,
    "TRACKING.DATA.NOTFOUND": NOT_FOUND,
    "TRACKING.TRACKINGNUMBER.EMPTY": CARRIER_ERROR,
    "NOT.AUTHORIZED.ERROR": NOT_AUTHORISED,
    # Canada Post, Australia Post, GLS, Hermes
    "004": NOT_FOUND,
    "E002": NOT_AUTHORISED,
    "ESB-10001": NOT_FOUND,
    "51101": CARRIER_ERROR,
    "E_404_01": NOT_FOUND,
    "e001": NOT_FOUND,
    # OAuth, and those who write as it does
    "invalid_client": NOT_AUTHORISED,
    "invalid_token": NOT_AUTHORISED,
    "unauthorized": NOT_AUTHORISED,
    "not_found": NOT_FOUND,
    "Login": NOT_AUTHORISED,
}
_UNAUTHORISED = re.compile(
    r"\b(authenticat\w*|authori[sz]ation|unauthori[sz]ed|not authori[sz]ed|forbidden|credentials?"
    r"|password|passwort|login|access licen[sc]e|api key|access token|autoryzac\w+"
    r"|authentification|zugangsdaten|nicht berechtigt)\b"
)
_UNFOUND = re.compile(
    r"\b(not( be)? found|cannot be found|no (shipments?|data|results?|records?) found"
    r"|no( tracking)? information|no pin history|invalid (tracking|inquiry)( number| id)?"
    r"|unknown tracking number|pas valide|introuvable|aucune information"
    r"|nicht gefunden|keine (daten|informationen)|nie znaleziono)\b"
)
_QUOTED = re.compile(r"(?<![^\W_])(['\"])[^'\"]*\1(?![^\W_])")
_MAIL = re.compile(r"\S+@\S+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")
LONGEST = 140
#: Beyond this nothing is read: the patterns are not made for megabytes.
_READ = 2_000


def problem_of(carrier: str, failure: Failure) -> Problem:
    """Our word for a carrier's refusal, and what it said."""
    if failure.ours == NO_EVENTS:
        return Problem(NO_EVENTS, carrier, f"{carrier_name(carrier)} told of no event")
    ours = failure.ours or _CODES.get(failure.code) or _by_words(failure.said)
    said = sentence(failure.said) or sentence(failure.code)
    told = f"said: {said}" if said else "gave no reason"
    return Problem(ours, carrier, f"{carrier_name(carrier)} {told}")


def malformed(carrier: str, fault: str) -> Problem:
    """An answer that is not what this carrier answers."""
    return Problem(MALFORMED, carrier, f"the answer {fault}")


def sentence(said: str) -> str:
    """The first sentence of what was said, short, without quoted values and addresses."""
    blotted = _MAIL.sub("…", _QUOTED.sub("…", " ".join(said[:_READ].split())))
    first = _SENTENCE_END.split(blotted, maxsplit=1)[0]
    return first if len(first) <= LONGEST else first[: LONGEST - 1].rstrip() + "…"


def _by_words(said: str) -> str:
    words = plain(said[:_READ])
    if _UNAUTHORISED.search(words):
        return NOT_AUTHORISED
    return NOT_FOUND if _UNFOUND.search(words) else CARRIER_ERROR
