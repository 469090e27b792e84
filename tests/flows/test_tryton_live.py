"""Three orders into a real Tryton server: lost answers, repeats and a cancellation."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

import sync_assets.mappers.tryton as mapper
import sync_assets.mappers.tryton_catalog as catalog
from resources import http, settings
from resources.errors import SignInAgain, UnknownOutcome
from resources.store import postgres
from resources.systems.tryton import Tryton
from sync_assets.domain.sales import Address, Party, SalesLine, SalesOrder
from sync_assets.ops import tryton_seed, tryton_server
from sync_assets.ops.tryton_server import PgPlace, TrytonServer

pytestmark = pytest.mark.tryton
D = Decimal
HOW = "`make test-tryton` or `sync-assets demo --erp tryton` prepares it"

#: Per store: warehouse, tax, country, and what 2 at 10.01 plus 4.90 shipping cost with tax.
STORES = {
    "us": ("US1", "US Sales Tax 7.25%", "US", D("16.00")),
    "uk": ("UK1", "UK VAT 20%", "GB", D("17.89")),
    "eu": ("EU1", "DE VAT 19%", "DE", D("17.74")),
}
KEYS = ["us:1042", "uk:1042", "eu:1042"]


class Lossy(httpx.BaseTransport):
    """The real network, except that the answer to one method can be lost once."""

    def __init__(self) -> None:
        self.inner = httpx.HTTPTransport(trust_env=False)
        self.lose: bytes | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        response.read()
        if self.lose is not None and self.lose in request.content:
            self.lose = None
            raise httpx.ReadTimeout("the answer was lost")
        return response

    def close(self) -> None:
        self.inner.close()


@pytest.fixture(scope="module")
def server() -> Iterator[TrytonServer]:
    cache = settings.home() / "tryton"
    if not tryton_server.is_installed(cache):
        pytest.skip(f"no Tryton is installed; {HOW}")
    databases = postgres.find(settings.home())
    place = PgPlace.at(databases.text(databases.store))
    if not tryton_server.is_prepared(cache, place):
        pytest.skip(f"Tryton's template database is missing; {HOW}")
    with tryton_server.running(cache, place, lambda line: None) as running:
        running.seed_items([(f"SKU-{n}", f"Thing {n}", D("10.00")) for n in range(3)])
        running.seed_stock(5)
        yield running


@pytest.fixture(scope="module")
def network() -> Lossy:
    return Lossy()


@pytest.fixture(scope="module")
def erp(server: TrytonServer, network: Lossy) -> Iterator[Tryton]:
    with http.client("tryton", server.url, transport=network) as client:
        yield Tryton(client, server.database, server.login, server.password)


@pytest.fixture(scope="module")
def items(erp: Tryton) -> dict[str, int]:
    rows = [mapper.item(row) for page in erp.items() for row in page]
    return {row["sku"]: row["item_id"] for row in rows}


@pytest.fixture(scope="module")
def document(items: dict[str, int]) -> Callable[..., SalesOrder]:
    def make(key: str, quantity: int = 2) -> SalesOrder:
        store, _, number = key.partition(":")
        warehouse, tax, country, total = STORES[store]
        home = Address(name="Zoë Beispiel", street="Musterweg 1", city="Ort", country=country)
        away = home.model_copy(update={"street": "Lager 2"})
        common: dict[str, Any] = {"tax_amount": D(), "taxes": (tax,)}
        goods = SalesLine(
            key=f"{key}:product:1",
            kind="product",
            item="SKU-1",
            item_id=items["SKU-1"],
            description="Thing 1",
            quantity=D(quantity),
            net_amount=D("10.01"),
            **common,
        )
        parcel = SalesLine(
            key=f"{key}:shipping:1",
            kind="shipping",
            item="SHIPPING",
            item_id=items["SHIPPING"],
            description="Parcel",
            quantity=D(1),
            net_amount=D("4.90"),
            **common,
        )
        return SalesOrder(
            key=key,
            store=store,
            order_id=number,
            number=number,
            placed_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
            currency=tryton_seed.WEB_SHOPS[store],
            company=tryton_seed.COMPANY,
            warehouse=warehouse,
            web_shop=store,
            party=Party(key=f"{store}:customer:5", address=home),
            ship_to=Party(key=f"{store}:customer:5:to:0f", address=away),
            lines=(goods, parcel),
            total_amount=total,
        )

    return make


@pytest.fixture(scope="module")
def payloads(erp: Tryton, document: Callable[..., SalesOrder]) -> list[dict[str, Any]]:
    refs = erp.references()
    documents = [document(key) for key in KEYS]
    parties = [party for one in documents for party in mapper.parties(one, refs)]
    ids = {key: found for key, found in erp.put_parties(parties).items() if isinstance(found, int)}
    return [mapper.order(one, refs, ids) for one in documents]


@pytest.fixture(scope="module")
def created(erp: Tryton, network: Lossy, payloads: list[dict[str, Any]]) -> dict[str, int]:
    """Three drafts whose creation was answered, but the answer did not arrive."""
    network.lose = b"model.sale.sale.create"
    with pytest.raises(UnknownOutcome):
        erp.put_orders(payloads)
    return {key: int(row["id"]) for key, row in erp.orders(KEYS).items()}


@pytest.fixture(scope="module")
def confirmed(erp: Tryton, network: Lossy, created: dict[str, int]) -> dict[str, int]:
    """The three, confirmed by a call whose answer did not arrive, and by a second one."""
    network.lose = b"model.sale.sale.confirm"
    with pytest.raises(UnknownOutcome):
        erp.confirm(list(created.values()))
    assert erp.confirm(list(created.values())) == {}
    return created


def sales(erp: Tryton) -> int:
    return int(erp.rpc.read("model.sale.sale.search_count", []))


def seen(erp: Tryton, key: str) -> tuple[str, Decimal, int]:
    found = mapper.seen(erp.orders([key])[key])
    return found.state, found.total_amount, found.lines


def test_orders_whose_answer_was_lost_are_found_and_not_made_again(
    erp: Tryton, payloads: list[dict[str, Any]], created: dict[str, int]
) -> None:
    assert sorted(created) == sorted(KEYS)
    assert erp.put_orders(payloads) == created
    assert sales(erp) == 3


def test_two_addresses_were_made_and_repeating_added_none(
    erp: Tryton, created: dict[str, int]
) -> None:
    party = erp.orders(["eu:1042"])["eu:1042"]["party."]["id"]
    rows = erp.rpc.search("party.address", [["party", "=", party]], ("street",))
    assert [row["street"] for row in rows] == ["Musterweg 1", "Lager 2"]


def test_drafts_hold_the_shops_totals_in_three_currencies(
    erp: Tryton, created: dict[str, int]
) -> None:
    found = erp.orders(KEYS)
    assert [found[key]["currency."]["code"] for key in KEYS] == ["USD", "GBP", "EUR"]
    assert {key: seen(erp, key) for key in KEYS} == {
        "us:1042": ("draft", D("15.99"), 2),
        "uk:1042": ("draft", D("17.89"), 2),
        "eu:1042": ("draft", D("17.74"), 2),
    }


def test_a_cent_of_rounding_is_added_once(
    erp: Tryton,
    document: Callable[..., SalesOrder],
    items: dict[str, int],
    created: dict[str, int],
) -> None:
    line = mapper.rounding_line(document("us:1042"), D("0.01"), items["ROUNDING"])
    erp.add_line(created["us:1042"], line)
    erp.add_line(created["us:1042"], line)
    assert seen(erp, "us:1042") == ("draft", D("16.00"), 3)


def test_confirming_with_a_lost_answer_makes_one_shipment_and_one_invoice(
    erp: Tryton, confirmed: dict[str, int]
) -> None:
    ids = list(confirmed.values())
    assert erp.confirm(ids) == {}
    for row in erp.orders(KEYS).values():
        behind = (row["state"], len(row["shipments"]), len(row["invoices"]))
        assert behind == ("processing", 1, 1)
    assert erp.unconfirmed_stock(ids) == set()


def test_accepted_orders_are_still_on_hand_and_allocated_where_they_ship_from(
    erp: Tryton, items: dict[str, int], confirmed: dict[str, int]
) -> None:
    pages = erp.stock_levels(["US1", "UK1", "EU1"], [items["SKU-1"], items["SKU-2"]])
    found = {
        (row["warehouse"], row["sku"]): (row["on_hand"], row["allocated"], row["incoming"])
        for page in pages
        for row in page
    }
    assert found[("EU1", "SKU-1")] == (D(5), D(2), D(0))
    assert found[("EU1", "SKU-2")] == (D(5), D(0), D(0))
    assert len(found) == 6


def test_a_new_price_is_a_change_of_the_item_though_the_product_is_untouched(
    erp: Tryton, server: TrytonServer, items: dict[str, int]
) -> None:
    (row,) = erp.rpc.search("product.product", [["id", "=", items["SKU-0"]]], ("template",))
    start = datetime.now(UTC)
    with server._admin() as admin:
        price = {"list_price": D("12.50")}
        admin.write("model.product.template.write", [row["template"]], price)
    changed = [one for page in erp.items_changed_since(start, timedelta()) for one in page]
    assert [(one["code"], one["list_price_used"]) for one in changed] == [("SKU-0", D("12.50"))]
    found = catalog.products(changed[0], "tryton")
    assert (found.prices[0]["amount"], found.prices[0]["currency"]) == (D("12.50"), "EUR")


def test_moves_that_put_stock_there_are_seen_with_their_warehouse(
    erp: Tryton, items: dict[str, int]
) -> None:
    pages = erp.moved_since(datetime.now(UTC), timedelta(hours=1))
    rows = [catalog.stock_movement(row, "tryton") for page in pages for row in page]
    counted = [row for row in rows if row and row["item_id"] == items["SKU-2"]]
    assert {(row["kind"], row["to_warehouse"], row["units"]) for row in counted} == {
        ("adjustment", warehouse, 5) for warehouse in ("US1", "UK1", "EU1")
    }


def test_an_oversold_order_is_accepted_and_flagged(
    erp: Tryton, document: Callable[..., SalesOrder], confirmed: dict[str, int]
) -> None:
    refs = erp.references()
    one = document("eu:2000", quantity=50)
    parties = erp.put_parties(mapper.parties(one, refs))
    ids = {key: found for key, found in parties.items() if isinstance(found, int)}
    made = erp.put_orders([mapper.order(one, refs, ids)])["eu:2000"]
    assert isinstance(made, int)
    assert erp.confirm([made]) == {}
    assert erp.unconfirmed_stock([confirmed["eu:1042"], made]) == {made}


def test_a_confirmed_order_is_called_off_once_with_what_stands_behind_it(
    erp: Tryton, network: Lossy, confirmed: dict[str, int]
) -> None:
    order = confirmed["uk:1042"]
    network.lose = b"model.stock.shipment.out.cancel"
    with pytest.raises(UnknownOutcome):
        erp.cancel([order])
    assert erp.cancel([order]) == {}
    assert erp.cancel([order]) == {}
    assert seen(erp, "uk:1042")[0] == "cancelled"
    assert seen(erp, "eu:1042")[0] == "confirmed"
    rows = erp.rpc.search("stock.shipment.out", [], ("state",))
    assert sorted(row["state"] for row in rows).count("cancelled") == 1


def test_a_wrong_password_is_asked_once(server: TrytonServer, network: Lossy) -> None:
    with http.client("tryton", server.url, transport=network) as client:
        stranger = Tryton(client, server.database, "stranger", "wrong")
        for _ in range(2):
            with pytest.raises(SignInAgain):
                stranger.ping()
