"""What mappers of journal entries to an ERP share: the ids behind an entry's names, and what an
ERP's words for states mean. Pure.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sync_assets.domain.journals import JournalDocument, Total, unfit
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import Problem, Rejected

References = Mapping[str, Mapping[str, int]]


class Names:
    """The ids behind the names of one entry, and why it cannot be sent."""

    def __init__(self, erp: str, document: JournalDocument, references: References) -> None:
        self.erp, self.document, self.references = erp, document, references
        self.problems: list[Problem] = list(unfit(document))

    def company(self) -> int:
        """The id of the entry's company, which must keep its books in the entry's currency."""
        name, currency = self.document.company, self.document.company_currency
        found = self.plain("company", name)
        kept = self.references.get("company_currency", {}).get(name)
        if found and kept != self.plain("currency", currency):
            self._problem("company", f"company {name!r} does not keep its books in {currency}")
        return found

    def find(self, kind: str, code: str) -> int:
        """The id of a code of the entry's own company; 0 where there is none."""
        company = self.document.company
        found = self.references.get(kind, {}).get(f"{company}/{code}")
        if found is None:
            self._problem(kind, f"{self.erp} has no single {kind} {code!r} in company {company!r}")
        return found or 0

    def plain(self, kind: str, name: str) -> int:
        """The id of a name that belongs to no company; 0 where there is none."""
        found = self.references.get(kind, {}).get(name)
        if found is None:
            self._problem(kind, f"{self.erp} has no single {kind} {name!r}")
        return found or 0

    def _problem(self, kind: str, message: str) -> None:
        """Remember a reason, each once."""
        found = Problem(f"erp.{kind}_unknown", kind, f"{message}; nothing was sent")
        if found not in self.problems:
            self.problems.append(found)


def state_of(erp: str, what: str, words: Mapping[str, str], payload: Mapping[str, Any]) -> str:
    """Our word for the state a payload shows; raises Rejected for one we do not know."""
    word = payload.get("state")
    if not isinstance(word, str) or word not in words:
        text = f"{erp} calls the {what} {word!r}, a word we do not know"
        raise Rejected([Problem("erp.unknown_state", "state", text)])
    return words[word]


def totals(
    lines: Iterable[tuple[str, str, Decimal, Decimal]], company_currency: str
) -> dict[tuple[str, str], Total]:
    """Sums by account and currency of lines: account, currency, amount, amount in the books."""
    sums: dict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [Decimal(), Decimal()])
    for account, currency, amount, company_amount in lines:
        both = sums[account, currency]
        both[0] += amount
        both[1] += company_amount
    return {
        key: Total(rounded(own, digits_of(key[1])), rounded(books, digits_of(company_currency)))
        for key, (own, books) in sums.items()
    }


def unreadable(fault: Exception) -> Rejected:
    """What becomes of an invoice that is not as the contract has it."""
    text = f"the invoice cannot be read ({type(fault).__name__})"
    return Rejected([Problem("thing.malformed", "invoice", text)])
