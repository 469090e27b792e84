"""Carriers by name, page and number: what is not certain has no carrier."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.domain.carriers import (
    CARRIERS,
    carrier_code,
    carrier_name,
    guess_carrier,
    tracking_url,
)
from sync_assets.mappers import tracking

UPS = "1Z999AA10123456784"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("UPS Ground", "ups"),
        ("UPS® 2nd Day Air", "ups"),
        ("UPS SurePost (USPS)", "ups"),
        ("USPS First Class", "usps"),
        ("usps_priority", "usps"),
        ("USPS Priority Mail International", "usps_international"),
        ("DHL Express", "dhl_express"),
        ("DHL Worldwide Express", "dhl_express"),
        ("DHL Paket", "dhl_parcel_de"),
        ("DHL Päckchen", "dhl_parcel_de"),
        ("DHL eCommerce", "dhl_ecommerce"),
        ("DHL Parcel Polska", "dhl_poland"),
        ("DHL", "dhl_universal"),
        ("Deutsche Post", "deutschepost"),
        ("Royal Mail Tracked 24", "royalmail"),
        ("Parcelforce express48", "parcelforce"),
        ("FedEx Home Delivery", "fedex"),
        ("Federal Express", "fedex"),
        ("GLS", "gls"),
        ("DPD Local", "dpd"),
        ("Evri Next Day", "evri"),
        ("Hermes UK", "evri"),
        ("Hermes", "hermes"),
        ("YODEL Xpect", "yodel"),
        ("LaserShip", "ontrac"),
        ("AMZL_US", "amazon"),
        ("Canada Post Expedited Parcel", "canadapost"),
        ("Postes Canada", "canadapost"),
        ("AusPost eParcel", "australiapost"),
        ("Colissimo", "laposte"),
        ("Chronopost 13h", "chronopost"),
        ("Purolator Ground", "purolator"),
        ("bpack 24h", "bpost"),
        ("Spring GDS", "spring"),
    ],
)
def test_what_warehouses_write_has_our_code(words, code):
    assert carrier_code(words) == code


@pytest.mark.parametrize(
    "words",
    ["", "Standard", "groups", "Pickup in store", "Springfield depot", "Poste Italiane", "express"],
)
def test_what_names_no_carrier_we_know_has_no_code(words):
    assert carrier_code(words) is None


@pytest.mark.parametrize("code", CARRIERS)
def test_our_own_codes_and_names_are_understood(code):
    assert carrier_code(code) == code
    assert carrier_code(code.upper()) == code
    if code not in ("mydhl", "spring"):
        assert carrier_code(carrier_name(code)) == code


def test_every_carrier_whose_answers_are_read_has_a_name():
    assert set(tracking.CARRIERS) <= set(CARRIERS)
    assert carrier_name("royalmail") == "Royal Mail"
    assert carrier_name("pigeon") == "pigeon"


@given(st.text())
def test_any_words_are_one_of_our_codes_or_none(words):
    assert carrier_code(words) is None or carrier_code(words) in CARRIERS


def test_a_page_shows_the_number_as_it_is_compared():
    assert tracking_url("ups", "1z 999 aa1 01 2345 6784") == (
        "https://www.ups.com/track?tracknum=1Z999AA10123456784"
    )
    assert tracking_url("laposte", "EW112720413FR") == (
        "https://www.laposte.fr/outils/suivre-vos-envois?code=EW112720413FR"
    )


@pytest.mark.parametrize(
    ("code", "number"),
    [("asendia", "ASENDIA1"), ("pigeon", "1"), ("ups", ""), ("ups", "n/a"), ("ups", "&?#")],
)
def test_there_is_no_page_without_a_carrier_that_has_one_and_a_number(code, number):
    assert tracking_url(code, number) is None


@pytest.mark.parametrize("code", [code for code in CARRIERS if CARRIERS[code].page])
def test_every_page_is_https_and_takes_the_number_once(code):
    page = tracking_url(code, "AB12/3?x=<y>")
    assert page is not None
    assert page.startswith("https://")
    assert page.count("AB123XY") == 1


@pytest.mark.parametrize(
    ("number", "carrier"),
    [
        (UPS, "ups"),
        ("1Z 5R8 939 03 5756 7127", "ups"),
        ("1Z023E2X0214323462", "ups"),
        ("9400109104250532908587", "usps"),
        ("9405 5118 9922 3197 4284 90", "usps"),
        ("RB123456785GB", "royalmail"),
        ("EW112720413FR", "laposte"),
        ("CP123456785DE", "dhl_parcel_de"),
        ("RR123456785DE", "deutschepost"),
        ("00340434161094015902", "dhl_parcel_de"),
    ],
)
def test_a_number_that_proves_itself_has_a_carrier(number, carrier):
    assert guess_carrier(number) == carrier


@pytest.mark.parametrize(
    "number",
    [
        "",
        "1Z999AA10123456785",
        "LX123456789US",
        "RR123456785XX",
        "EE123456785DE",
        "9400109104250532908588",
        "00340434161094015903",
        "123456789012",
        "9053283201",
        "1Z９９９AA10123456784",
    ],
)
def test_a_number_that_proves_nothing_has_none(number):
    assert guess_carrier(number) is None


@pytest.mark.parametrize("number", [UPS, "9400109104250532908587", "00340434161094015902"])
def test_one_digit_wrong_is_noticed(number):
    wrong = [
        number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :]
        for place in range(8, len(number))
        if number[place].isdigit()
    ]
    assert len(wrong) >= 10
    assert [guess_carrier(one) for one in wrong] == [None] * len(wrong)


@given(st.text(alphabet="1Z9AB0 ", max_size=24))
def test_any_text_is_a_number_of_a_carrier_or_of_none(number):
    assert guess_carrier(number) in {None, *CARRIERS}
