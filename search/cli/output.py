"""What commands print and write: tables and JSON on stdout, messages on stderr, pages into files."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StorageError

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 160
"""Width in characters of tables that go into a file or a pipe, where no terminal tells one."""


def console(*, stderr: bool = False) -> "Console":
    """Return a console for people; what goes into a pipe is wide and plain."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH, highlight=False)


def say(line: str) -> None:
    """Print a line on stderr, however long it is."""
    console(stderr=True).print(line, markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print a value as indented JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """Print a table on stdout; columns whose name ends with `#` hold numbers and are right-aligned."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column.removesuffix("#"), justify="right" if column.endswith("#") else "left", overflow="fold")
    for row in rows:
        # As text, not markup: names of classes and folders may hold brackets.
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


def output_file(output: Path | None, default: str) -> Path:
    """Return the file that `--output` names, or else the default one.

    Raises:
        StorageError: it is a folder.
    """
    path = output or Path(default)
    if path.is_dir():
        raise StorageError(f"--output {path} is a folder; it must be a file")
    return path
