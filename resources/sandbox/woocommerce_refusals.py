"""How a WooCommerce store says no: WordPress error bodies and the checks of order parameters.

What is done with accepted parameters is not here.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ORDER_STATUSES = (
    "auto-draft",
    "pending",
    "processing",
    "on-hold",
    "completed",
    "cancelled",
    "refunded",
    "failed",
    "checkout-draft",
)
LIST_STATUSES = ("any", "trash", *ORDER_STATUSES)
ORDER_SORTS = ("date", "id", "include", "title", "slug", "modified")
CUSTOMER_SORTS = ("id", "include", "name", "registered_date")
PRODUCT_SORTS = (
    *("date", "id", "include", "title", "slug", "modified", "popularity", "rating", "post__in"),
    *("price", "sales", "menu_order", "random", "popularity", "rating", "menu_order", "price"),
    *("popularity", "rating"),
)

CRASHED = (
    "<p>There has been a critical error on this website.</p><p><a href="
    '"https://wordpress.org/documentation/article/faq-troubleshooting/">Learn more about '
    "troubleshooting WordPress.</a></p>"
)

STAMP = re.compile(
    r"^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.\d+)?(Z|[+-]\d{2}(?::\d{2})?)?$"
)
EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")


class Declined(Exception):
    """The store's refusal: status, code, message and the `data` beside them."""

    def __init__(self, status: int, code: str, message: str, data: Any = None) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.body: dict[str, Any] = {
            "code": code,
            "message": message,
            "data": {"status": status} if data is None else data,
        }


@dataclass
class Complaints:
    """Collects what is wrong with the parameters of one request."""

    found: dict[str, tuple[str, str, Any]] = field(default_factory=dict)

    def add(self, name: str, code: str, message: str, data: Any = None) -> None:
        """Note one parameter; the first complaint about it stays."""
        self.found.setdefault(name, (code, message, data))

    def wrong_type(self, name: str, kind: str, where: str | None = None) -> None:
        """Note that a parameter, or the part of it at `where`, is not of type `kind`."""
        where = where or name
        self.add(name, "rest_invalid_type", f"{where} is not of type {kind}.", {"param": where})

    def not_one_of(self, name: str, words: Iterable[str], where: str | None = None) -> None:
        """Note that a parameter is none of the words allowed."""
        *most, last = words
        message = f"{where or name} is not one of {', '.join(most)}, and {last}."
        self.add(name, "rest_not_in_enum", message)

    def raise_any(self) -> None:
        """Refuse the request if anything was noted."""
        if not self.found:
            return
        data = {
            "status": 400,
            "params": {name: message for name, (_, message, _) in self.found.items()},
            "details": {
                name: {"code": code, "message": message, "data": detail}
                for name, (code, message, detail) in self.found.items()
            },
        }
        names = ", ".join(self.found)
        raise Declined(400, "rest_invalid_param", f"Invalid parameter(s): {names}", data)


def checked_list(query: Mapping[str, str], sorts: Iterable[str]) -> None:
    """Refuse a list request whose paging or sorting parameters are wrong."""
    complaints = Complaints()
    _paging(query, complaints)
    if "orderby" in query and query["orderby"] not in sorts:
        complaints.not_one_of("orderby", sorts)
    if "order" in query and query["order"] not in ("asc", "desc"):
        complaints.add("order", "rest_not_in_enum", "order is not one of asc and desc.")
    for name in ("after", "before", "modified_after", "modified_before"):
        if name in query and not _is_stamp(query[name]):
            complaints.add(name, "rest_invalid_date", "Invalid date.")
    complaints.raise_any()


def checked_order_list(query: Mapping[str, str]) -> None:
    """Refuse a list of orders whose parameters are wrong."""
    complaints = Complaints()
    for place, word in enumerate(split_list(query.get("status", "any"))):
        if word not in LIST_STATUSES:
            complaints.not_one_of("status", LIST_STATUSES, f"status[{place}]")
    for name in ("customer", "product", "dp"):
        if name in query and not is_integer(query[name]):
            complaints.wrong_type(name, "integer")
    complaints.raise_any()
    checked_list(query, ORDER_SORTS)


def checked_order_body(body: Mapping[str, Any]) -> None:
    """Refuse an order to create or change whose fields have wrong types or words."""
    complaints = Complaints()
    for name, check in BODY_CHECKS.items():
        if name in body:
            check(name, body[name], complaints)
    complaints.raise_any()


def _paging(query: Mapping[str, str], complaints: Complaints) -> None:
    per_page, page = query.get("per_page", "10"), query.get("page", "1")
    if not is_integer(per_page):
        complaints.wrong_type("per_page", "integer")
    elif not 1 <= int(per_page) <= 100:
        message = "per_page must be between 1 (inclusive) and 100 (inclusive)"
        complaints.add("per_page", "rest_out_of_bounds", message)
    if not is_integer(page):
        complaints.wrong_type("page", "integer")
    elif int(page) < 1:
        message = "page must be greater than or equal to 1"
        complaints.add("page", "rest_out_of_bounds", message)


def _status(name: str, value: Any, complaints: Complaints) -> None:
    if not isinstance(value, str):
        complaints.wrong_type(name, "string")
    elif value not in ORDER_STATUSES:
        complaints.not_one_of(name, ORDER_STATUSES)


def _text(name: str, value: Any, complaints: Complaints) -> None:
    if not isinstance(value, str):
        complaints.wrong_type(name, "string")


def _address(name: str, value: Any, complaints: Complaints) -> None:
    if not isinstance(value, dict):
        complaints.wrong_type(name, "object")
    elif value.get("email") and not EMAIL.match(str(value["email"])):
        complaints.add(name, "rest_invalid_email", "Invalid email address.")


def _lines(name: str, value: Any, complaints: Complaints) -> None:
    for place, line in enumerate(value if isinstance(value, list) else [value]):
        where = f"{name}[{place}]"
        if not isinstance(line, dict):
            complaints.wrong_type(name, "object", where)
        elif "quantity" in line and not is_integer(line["quantity"]):
            complaints.wrong_type(name, "integer", f"{where}[quantity]")


def _number(name: str, value: Any, complaints: Complaints) -> None:
    if not is_integer(value):
        complaints.wrong_type(name, "integer")


BODY_CHECKS: Mapping[str, Callable[[str, Any, Complaints], None]] = {
    "status": _status,
    "customer_note": _text,
    "transaction_id": _text,
    "payment_method": _text,
    "payment_method_title": _text,
    "customer_id": _number,
    "billing": _address,
    "shipping": _address,
    "line_items": _lines,
    "shipping_lines": _lines,
    "fee_lines": _lines,
    "coupon_lines": _lines,
    "meta_data": _lines,
}


def split_list(words: str) -> list[str]:
    """Read a comma list as WordPress does: blanks do not count."""
    return [word for word in re.split(r"[\s,]+", words) if word]


def is_integer(value: Any) -> bool:
    """Tell whether WordPress takes a value for a whole number."""
    return bool(re.fullmatch(r"[+-]?\d+(\.0+)?", str(value).strip()))


def _is_stamp(value: str) -> bool:
    found = STAMP.match(value)
    if not found:
        return False
    try:
        datetime.fromisoformat(f"{found[1]}T{found[2]}")
    except ValueError:
        return False
    return True
