"""How the command line speaks: tables and sentences for people, one JSON object for programs."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from resources.errors import RemoteError
from resources.settings import SettingsError
from resources.store.exceptions import NotPossible
from resources.store.postgres import DatabaseUnavailable
from sync_assets.ops.host import NotReady
from sync_assets.ops.report import plain

err = Console(stderr=True, highlight=False)
#: Sentences are broken by the terminal, never by us: they may be searched for, or copied.
out = Console(highlight=False, soft_wrap=True)

#: Exit codes: 1 the answer is "no", 2 something must be mended first.
NO, MEND = 1, 2


def fail(sentence: str, code: int = MEND) -> NoReturn:
    """End with one clear sentence."""
    err.print(f"[red]✗[/red] {escape(sentence)}", soft_wrap=True)
    raise typer.Exit(code)


@contextmanager
def clearly() -> Iterator[None]:
    """Turn what a person can mend into one sentence and exit code 2."""
    try:
        yield
    except (DatabaseUnavailable, SettingsError, NotReady, NotPossible) as fault:
        fail(str(fault))
    except RemoteError as fault:
        fail(f"{fault} ({fault.remedy.value.replace('_', ' ')})")
    except KeyboardInterrupt:
        fail("Stopped. Nothing is lost: run it again and it goes on where it was.", 130)


def answer(value: Any, as_json: bool, show: Callable[[Any], None]) -> None:
    """Print one answer, for a program or for a person."""
    if as_json:
        sys.stdout.write(json.dumps(plain(value), default=str, ensure_ascii=False) + "\n")
    else:
        show(value)


def table(title: str, rows: Sequence[dict[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Print rows as a table; nothing for none."""
    if rows:
        page().print(laid_out(title, rows, columns))


def page() -> Console:
    """Where tables go: in a file or a pipe there is no edge to squeeze the columns against."""
    return Console(highlight=False, file=out.file, width=None if out.is_terminal else 200)


def laid_out(
    title: str, rows: Sequence[dict[str, Any]], columns: Sequence[str] | None = None
) -> Table:
    """Rows as a table; a `Text` keeps its colour."""
    names = list(columns or rows[0])
    shown = Table(title=title, title_justify="left", header_style="bold", title_style="bold")
    for name in names:
        number = isinstance(plain(rows[0].get(name)), int | float) or name.endswith("total")
        shown.add_column(name.replace("_", " "), justify="right" if number else "left")
    for row in rows:
        cells = [row.get(name) for name in names]
        shown.add_row(*[one if isinstance(one, Text) else escape(_text(one)) for one in cells])
    return shown


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    said = plain(value)
    return said[:19].replace("T", " ") if hasattr(value, "isoformat") else str(said)
