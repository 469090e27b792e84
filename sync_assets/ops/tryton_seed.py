"""Master data for a Tryton server of our own (demo and tests): one company that sells in three
currencies, its accounts, taxes, warehouses, web shops and the user we sign in as.

Everything goes over the same network interface the product uses. Starting the server is
`tryton_server.py`.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import Any

from resources.systems.tryton_rpc import Session

Payload = dict[str, Any]

MODULES = (
    *("sale", "account_product", "sale_stock_quantity", "sale_shipment_cost", "web_shop"),
    # Without it a delivery has no field for a tracking number.
    "stock_package_shipping",
)

LOGIN = "sync"
COMPANY, COMPANY_CURRENCY = "Acme Trading GmbH", "EUR"
#: Units of the currency for one euro.
RATES = {"EUR": Decimal("1"), "USD": Decimal("1.08"), "GBP": Decimal("0.85")}
TAXES = {
    "US Sales Tax 7.25%": Decimal("0.0725"),
    "UK VAT 20%": Decimal("0.20"),
    "DE VAT 19%": Decimal("0.19"),
}
WAREHOUSES = {"US1": "Warehouse US", "UK1": "Warehouse UK", "EU1": "Warehouse Europe"}
#: The web shop of each of our stores, named like the store, and its currency.
WEB_SHOPS = {"us": "USD", "uk": "GBP", "eu": "EUR"}
PAYMENT_TERM = "Immediate"
CHARGES = (("SHIPPING", "Shipping"), ("FEE", "Fee"), ("ROUNDING", "Rounding difference"))
COUNTRIES = {
    "AT": "Austria",
    "BE": "Belgium",
    "CA": "Canada",
    "CH": "Switzerland",
    "DE": "Germany",
    "ES": "Spain",
    "FR": "France",
    "GB": "United Kingdom",
    "IE": "Ireland",
    "IT": "Italy",
    "NL": "Netherlands",
    "US": "United States",
}
#: What the user we sign in as may do, by the module's own names of the groups.
GROUPS = (
    ("account", "group_account"),
    ("sale", "group_sale"),
    # Without it an order that confirming left unprocessed cannot be processed.
    ("sale", "group_sale_admin"),
    ("stock", "group_stock"),
    ("stock", "group_stock_cancellation"),
    # Without it what has left, but is short in the books, cannot be posted.
    ("stock", "group_stock_force_assignment"),
    # Without it an oversell is refused instead of asked about.
    ("sale_stock_quantity", "group_sale_stock_quantity"),
)
BATCH = 500


def seed(admin: Session, password: str, today: date) -> None:
    """Fill a database of freshly activated modules; `password` is for the user `sync`."""
    currencies = _currencies(admin, today)
    _countries(admin)
    company = _company(admin, currencies[COMPANY_CURRENCY])
    chart = _chart(admin, company)
    _fiscal_year(admin, company, today)
    _taxes(admin, company, chart["tax"])
    _categories(admin, chart)
    _payment_term(admin)
    _warehouses(admin)
    _web_shops(admin, company, currencies)
    _user(admin, company, password)
    create_items(admin, [(code, name, Decimal()) for code, name in CHARGES], kind="service")


def create_items(
    admin: Session, items: Iterable[tuple[str, str, Decimal]], kind: str = "goods"
) -> None:
    """Create products (`sku`, `name`, list price) in batches; a known SKU is left alone."""
    category = _ids(admin, "product.category", [["accounting", "=", True]])[0]
    unit = _ids(admin, "product.uom", [["symbol", "=", "u"]])[0]
    left = iter(items)
    while batch := list(islice(left, BATCH)):
        known = _known_codes(admin, [sku for sku, _, _ in batch])
        values = [
            _product(sku, name, price, kind, category, unit)
            for sku, name, price in batch
            if sku not in known
        ]
        if values:
            admin.write("model.product.template.create", values)


def create_stock(admin: Session, quantity: int, warehouses: Iterable[str] = WAREHOUSES) -> None:
    """Count every product as `quantity` units on hand, in each warehouse."""
    products = _ids(admin, "product.product", [["type", "=", "goods"]])
    for code in warehouses:
        found = admin.read(
            "model.stock.location.search_read",
            *_query([["type", "=", "warehouse"], ["code", "=", code]], ["storage_location"]),
        )
        for start in range(0, len(products), BATCH):
            batch = products[start : start + BATCH]
            _count(admin, int(found[0]["storage_location"]), batch, quantity)


def _count(admin: Session, location: int, products: Sequence[int], quantity: int) -> None:
    lines = [{"product": product, "quantity": quantity} for product in products]
    values = [{"location": location, "lines": [["create", lines]]}]
    counted = admin.write("model.stock.inventory.create", values)
    admin.write("model.stock.inventory.confirm", counted)


def _product(sku: str, name: str, price: Decimal, kind: str, category: int, unit: int) -> Payload:
    return {
        "name": name,
        "type": kind,
        "default_uom": unit,
        "sale_uom": unit,
        "salable": True,
        "list_price": price,
        "account_category": category,
        "products": [["create", [{"suffix_code": sku}]]],
    }


def _known_codes(admin: Session, codes: Sequence[str]) -> set[str]:
    query = _query([["code", "in", list(codes)]], ["code"])
    return {row["code"] for row in admin.read("model.product.product.search_read", *query)}


def _currencies(admin: Session, today: date) -> dict[str, int]:
    values = [
        {
            "name": code,
            "code": code,
            "symbol": code,
            "rounding": Decimal("0.01"),
            "digits": 2,
            "rates": [["create", [{"date": date(today.year, 1, 1), "rate": rate}]]],
        }
        for code, rate in RATES.items()
    ]
    ids = admin.write("model.currency.currency.create", values)
    return dict(zip(RATES, ids, strict=True))


def _countries(admin: Session) -> None:
    values = [{"code": code, "name": name} for code, name in COUNTRIES.items()]
    admin.write("model.country.country.create", values)


def _company(admin: Session, currency: int) -> int:
    party = admin.write("model.party.party.create", [{"name": COMPANY}])[0]
    values = [{"party": party, "currency": currency, "timezone": "Europe/Berlin"}]
    company = int(admin.write("model.company.company.create", values)[0])
    me = _ids(admin, "res.user", [["login", "=", admin.login]])
    mine = {"companies": [["add", [company]]], "company": company}
    admin.write("model.res.user.write", me, mine)
    admin.sign_in()  # the company is part of every context from now on
    return company


def _chart(admin: Session, company: int) -> dict[str, int]:
    """Make the universal chart of accounts; answers the accounts that other data names."""
    template = admin.read("model.ir.model.data.get_id", "account", "account_template_root_en")
    wizard = "wizard.account.create_chart"
    number = admin.write(f"{wizard}.create")[0]
    account = {"company": company, "account_template": template}
    admin.write(f"{wizard}.execute", number, {"account": account}, "create_account")
    accounts = {
        kind: _ids(
            admin,
            "account.account",
            [[f"type.{kind}", "=", True], ["closed", "!=", True], ["company", "=", company]],
        )[0]
        for kind in ("receivable", "payable", "revenue", "expense")
    }
    properties = {
        "company": company,
        "account_receivable": accounts["receivable"],
        "account_payable": accounts["payable"],
        "category_account_revenue": accounts["revenue"],
        "category_account_expense": accounts["expense"],
    }
    data = {"account": account, "properties": properties}
    admin.write(f"{wizard}.execute", number, data, "create_properties")
    admin.write(f"{wizard}.delete", number)
    accounts["tax"] = _ids(admin, "account.account", [["code", "=", "6.3.6"]])[0]
    return accounts


def _fiscal_year(admin: Session, company: int, today: date) -> None:
    year = str(today.year)
    moves, invoices = (_sequence(admin, kind, company) for kind in ("Account Move", "Invoice"))
    kinds = [
        f"{way}_{kind}_sequence" for way in ("in", "out") for kind in ("invoice", "credit_note")
    ]
    numbers = dict.fromkeys(kinds, invoices)
    values = {
        "name": year,
        "company": company,
        "start_date": date(today.year, 1, 1),
        "end_date": date(today.year, 12, 31),
        "move_sequence": moves,
        "invoice_sequences": [["create", [{"company": company, **numbers}]]],
    }
    made = admin.write("model.account.fiscalyear.create", [values])
    admin.write("model.account.fiscalyear.create_period", made)


def _sequence(admin: Session, kind: str, company: int) -> int:
    types = _ids(admin, "ir.sequence.type", [["name", "=", kind]])
    values = [{"name": kind, "sequence_type": types[0], "company": company}]
    return int(admin.write("model.ir.sequence.strict.create", values)[0])


def _taxes(admin: Session, company: int, account: int) -> None:
    values = [
        {
            "name": name,
            "description": name,
            "type": "percentage",
            "rate": rate,
            "company": company,
            "invoice_account": account,
            "credit_note_account": account,
        }
        for name, rate in TAXES.items()
    ]
    admin.write("model.account.tax.create", values)


def _categories(admin: Session, accounts: dict[str, int]) -> None:
    values = {
        "name": "Retail",
        "accounting": True,
        "account_revenue": accounts["revenue"],
        "account_expense": accounts["expense"],
    }
    admin.write("model.product.category.create", [values])


def _payment_term(admin: Session) -> None:
    line = {"type": "remainder"}
    values = {"name": PAYMENT_TERM, "lines": [["create", [line]]]}
    admin.write("model.account.invoice.payment_term.create", [values])


def _warehouses(admin: Session) -> None:
    lost = _ids(admin, "stock.location", [["type", "=", "lost_found"]])[0]
    for code, name in WAREHOUSES.items():
        rooms = [
            {"name": f"{code} {room}", "code": f"{code}-{room[:3].upper()}", "type": "storage"}
            for room in ("Input", "Storage", "Output")
        ]
        entry, storage, leaving = admin.write("model.stock.location.create", rooms)
        values = {
            "name": name,
            "code": code,
            "type": "warehouse",
            "input_location": entry,
            "storage_location": storage,
            "output_location": leaving,
            "lost_found_location": lost,
        }
        admin.write("model.stock.location.create", [values])


def _web_shops(admin: Session, company: int, currencies: dict[str, int]) -> None:
    values = [
        {"name": name, "company": company, "currency": currencies[currency]}
        for name, currency in WEB_SHOPS.items()
    ]
    admin.write("model.web.shop.create", values)


def _user(admin: Session, company: int, password: str) -> None:
    groups = [admin.read("model.ir.model.data.get_id", *group) for group in GROUPS]
    values = {
        "name": "Order sync",
        "login": LOGIN,
        "password": password,
        "companies": [["add", [company]]],
        "company": company,
        "groups": [["add", groups]],
    }
    admin.write("model.res.user.create", [values])


def _ids(admin: Session, model: str, domain: list[Any]) -> list[int]:
    found = admin.read(f"model.{model}.search", domain, 0, None, [["id", "ASC"]])
    return [int(number) for number in found]


def _query(domain: list[Any], fields: list[str]) -> tuple[Any, ...]:
    return domain, 0, None, [["id", "ASC"]], fields
