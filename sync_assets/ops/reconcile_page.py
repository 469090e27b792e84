"""The reconciliation statement as a page to print: one file, no links, scripts or people's data.

Each statement has one waterfall, drawn in shades and hatching that hold on a grey printer. The same
numbers make the same bytes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from importlib.resources import files
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple

from sync_assets.domain.findings import FINDINGS
from sync_assets.domain.money import digits_of
from sync_assets.domain.orders import Row
from sync_assets.domain.statements import (
    AFTER_SALES,
    NO_STORE,
    PARTS_OF_SALES,
    RESIDUALS,
    WORDS,
    Line,
    Reconciliation,
    Sum,
    store_words,
    total,
    written,
)

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

Values = dict[str, Any]


def page(found: Sequence[Reconciliation], at: datetime) -> str:
    """The page of some statements, one after the other."""
    import jinja2

    template = files("sync_assets.ops").joinpath("reconcile_page.html").read_text("utf-8")
    world = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return world.from_string(template).render(
        period=found[0].period,
        at=f"{at:%Y-%m-%d %H:%M} UTC",
        statements=[_values(one, place) for place, one in enumerate(found, 1)],
    )


def _values(one: Reconciliation, place: int) -> Values:
    """What the template shows of one statement."""
    names = sorted(one.stores, key=lambda name: (name == NO_STORE, name))
    several = sum(name != NO_STORE for name in names) > 1
    return {
        "provider": one.provider,
        "only_store": one.only_store,
        "period": one.period,
        "timezone": one.timezone,
        "currency": one.currency,
        "verdict": _verdict(one),
        "lines": _lines(one) if one.stores else [],
        "chart": chart(one, place) if one.stores else "",
        "store_names": [*map(store_words, names), "together"],
        "stores": [_store_line(one, line, names) for line in one.shown] if several else [],
        "expected": [_expected(row, one.currency) for row in one.expected],
        "open_items": [_item(row, one.currency) for row in one.open_items],
    }


def _verdict(one: Reconciliation) -> str:
    if one.residual:
        said = _money(one.residual, one.currency)
        return f"{said} {one.currency} of it cannot be explained; it must be nothing."
    if not one.is_open:
        return "All sums agree to the cent, and everything is matched."
    moved = one.whole[Line.BALANCE_CHANGE]
    return (
        f"All sums agree to the cent. Open: {moved.open_count:,} settled lines "
        f"({_money(moved.open_amount, one.currency)} {one.currency}), {_count(one.expected):,} "
        f"expected payments, {_count(one.open_items):,} things that wait."
    )


def _count(rows: Sequence[Row]) -> int:
    return sum(row["item_count"] for row in rows)


def _lines(one: Reconciliation) -> list[Values]:
    return [_line(line, found, one.currency) for line, found in one.shown.items()]


def _line(line: Line, found: Sum, currency: str) -> Values:
    return {
        "label": WORDS[line].label,
        "says": WORDS[line].says,
        "style": _style(line),
        "count": f"{found.count:,}",
        "amount": _money(found.amount, currency),
        "open_count": f"{found.open_count:,}" if found.open_count else "",
        "open_amount": _money(found.open_amount, currency) if found.open_count else "",
    }


def _store_line(one: Reconciliation, line: Line, names: Sequence[str]) -> Values:
    amounts = [*(one.stores[name][line].amount for name in names), one.whole[line].amount]
    return {
        "label": WORDS[line].label,
        "style": _style(line),
        "amounts": [_money(amount, one.currency) for amount in amounts],
    }


def _style(line: Line) -> str:
    if line in RESIDUALS:
        return "wrong"
    if WORDS[line].is_total:
        return "total"
    return "bank" if line == Line.BANK_RECEIVED else ""


def _expected(row: Row, currency: str) -> Values:
    when = "overdue" if row["is_overdue"] else "not due yet"
    store = store_words(row["store"])
    return {
        "words": f"{row['kind'].replace('_', ' ')}, {when} ({store})",
        "count": f"{row['item_count']:,}",
        "amount": _money(row["amount"], currency),
    }


def _item(row: Row, currency: str) -> Values:
    says = FINDINGS[row["finding"]].says if row["finding"] in FINDINGS else ""
    return {
        "code": row["finding"],
        "says": f"{says} (will come)" if row["is_waiting"] else says,
        "count": f"{row['item_count']:,}",
        "amount": _money(row["amount"], currency),
    }


def _money(amount: Decimal, currency: str) -> str:
    return written(amount, currency, ",").replace("-", "−")


# ---------------------------------------------------------------- the waterfall


class Bar(NamedTuple):
    """One bar: from where to where, and whether it is a total that stands on the ground."""

    label: str
    start: Decimal
    end: Decimal
    is_total: bool


def bars(lines: Mapping[Line, Sum]) -> list[Bar]:
    """The bars of a statement; each begins where the one before ended."""
    return list(_bars(lines))


def _bars(lines: Mapping[Line, Sum]) -> Iterator[Bar]:
    level = Decimal(0)
    for line in _DRAWN:
        words, amount = WORDS[line], lines[line].amount
        if words.is_total:
            level = amount
            yield Bar(words.label, Decimal(0), level, True)
        elif amount or not words.is_rare:
            yield Bar(words.label, level, level + amount, False)
            level += amount


_DRAWN = (
    *(*PARTS_OF_SALES, Line.UNEXPLAINED_SALES, Line.CAPTURED),
    *(*AFTER_SALES, Line.UNEXPLAINED, Line.NET, Line.PAID_OUT, Line.BALANCE_CHANGE),
)
#: Shades that are as far apart in grey as in colour.
_TOTAL, _MORE, _LESS = "#1f3a5f", "#9cc5e8", "#f2b482"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "hatch.linewidth": 0.6,
    "axes.unicode_minus": True,
}


def chart(one: Reconciliation, place: int) -> "Markup":
    """The waterfall as an SVG that stands in the page and says what it shows."""
    import matplotlib
    from markupsafe import Markup
    from matplotlib.figure import Figure

    title = f"Waterfall of {one.provider}, {one.period.name}, in {one.currency}"
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": f"{title} {place}"}):
        figure = Figure(figsize=(7.1, 3.3), layout="constrained")
        _draw(figure.add_subplot(), bars(one.whole), one.currency)
        out = StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    opening, drawing = _opened(out.getvalue())
    head = Markup(
        '<svg role="img" aria-labelledby="chart-{0} chart-{0}-says" {1}>'
        '<title id="chart-{0}">{2}</title><desc id="chart-{0}-says">{3}</desc>'
    )
    # What is drawn comes from matplotlib, which escapes its words itself.
    return head.format(place, Markup(opening), title, _description(one)) + Markup(drawing)  # noqa: S704


def _description(one: Reconciliation) -> str:
    said = [f"{bar.label} {_money(_size(bar), one.currency)}" for bar in bars(one.whole)]
    return "; ".join(said) + "."


def _size(bar: Bar) -> Decimal:
    return total((bar.end, -bar.start))


def _opened(svg: str) -> tuple[str, str]:
    """Attributes of an SVG file and what is in it, without prolog, size and metadata.

    The page gives the size; the metadata name schemas of the web, and say nothing here.
    """
    found = re.search(r"<svg([^>]*)>(.*)", svg, re.DOTALL)
    if found is None:
        raise ValueError("matplotlib drew no SVG")
    opening = re.sub(r'\b(?:width|height)="[^"]*"', "", found[1])
    drawing = re.sub(r"<metadata>.*?</metadata>\s*", "", found[2], flags=re.DOTALL)
    return " ".join(opening.split()), drawing.strip()


def _draw(axes: "Axes", found: Sequence[Bar], currency: str) -> None:
    largest = max((abs(bar.end) for bar in found), default=Decimal(0))
    digits = digits_of(currency) if largest < 1000 else 0
    for place, bar in enumerate(found):
        rises = bar.end >= bar.start
        axes.bar(
            place,
            float(abs(bar.end - bar.start)),
            bottom=float(min(bar.start, bar.end)),
            width=0.72,
            color=_TOTAL if bar.is_total else _MORE if rises else _LESS,
            hatch=None if bar.is_total or rises else "////",
            edgecolor="#111111",
            linewidth=0.6,
        )
        _join(axes, place, bar, found)
        _say(axes, place, bar, digits, room=float(largest) / 16)
    axes.axhline(0, color="#111111", linewidth=0.8)
    labels = [bar.label for bar in found]
    slanted: Values = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(found)), labels, **slanted)
    axes.set_ylabel(currency)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace("-", "−"))
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01, y=0.12)


def _join(axes: "Axes", place: int, bar: Bar, found: Sequence[Bar]) -> None:
    """A thin line to where the next bar begins."""
    if place + 1 < len(found):
        level = float(bar.end)
        axes.plot([place + 0.36, place + 0.64], [level, level], color="#666666", linewidth=0.6)


def _say(axes: "Axes", place: int, bar: Bar, digits: int, room: float) -> None:
    """Write the amount above the bar, or below what falls where there is room: no two collide."""
    size, low = _size(bar), float(min(bar.start, bar.end))
    is_below = size < 0 and low > room and not bar.is_total
    axes.annotate(
        f"{size:,.{2 if abs(size) < 1 else digits}f}".replace("-", "−"),
        (place, low if is_below else float(max(bar.start, bar.end))),
        xytext=(0, -2 if is_below else 2),
        textcoords="offset points",
        ha="center",
        va="top" if is_below else "bottom",
        fontsize=6.5,
    )
