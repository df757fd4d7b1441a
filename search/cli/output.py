"""What commands print: tables and JSON on stdout, messages on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

# Width of tables that go into a file or a pipe, where no terminal tells one.
PIPE_WIDTH = 160


def console(*, stderr: bool = False) -> "Console":
    """A console for people; what goes into a pipe is wide and plain."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH, highlight=False)


def print_json(value: object) -> None:
    """A value as indented JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """A table on stdout; columns whose name ends with `#` hold numbers and stand to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column.removesuffix("#"), justify="right" if column.endswith("#") else "left", overflow="fold")
    for row in rows:
        # As text, not markup: names of people's classes and folders may hold brackets.
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


def configuration(values: Mapping[str, object]) -> str:
    """A configuration in one line, numbers short.

    >>> configuration({"lr": 0.00312345, "optimizer": "adam", "batch_norm": True})
    'lr=0.003123 optimizer=adam batch_norm=True'
    """
    return " ".join(f"{name}={short(value)}" for name, value in values.items())


def short(value: object) -> str:
    """A value as people read it: four digits of a float, a dash for nothing.

    >>> short(0.98611111), short(12), short(None)
    ('0.9861', '12', '-')
    """
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
