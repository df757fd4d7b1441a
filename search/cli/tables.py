"""Tables on stdout that break no number, and no word where that can be, however narrow the terminal is."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ...sources import printable
from .output import console

WIDE_GAP, NARROW_GAP = 3, 1
"""Blanks between columns; the narrow one where a table does not fit otherwise."""

SHORTEST_FOLD = 12
"""Characters to which a long word, such as a path, is folded at least."""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a table.

    Args:
        header: its title, without the mark of numbers.
        numeric: whether its cells are numbers: right-aligned and never folded.
        cells: one for each row.
    """

    header: str
    numeric: bool
    cells: Sequence[str]

    @property
    def natural(self) -> int:
        """The width at which nothing wraps."""
        return max(map(_width, (self.header, *self.cells)))

    def least(self, *, folds: bool) -> int:
        """Return the smallest width that breaks no number and no word, or only words of text if it may fold these."""
        title = max(map(_width, self.header.split()), default=0)
        words = self.cells if self.numeric else [word for cell in self.cells for word in cell.split()]
        longest = max(map(_width, words), default=0)
        return max(1, title, min(longest, SHORTEST_FOLD) if folds and not self.numeric else longest)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """Print a table on stdout; columns whose name ends with `#` hold numbers and are right-aligned.

    Numbers and the words of titles are never broken. Where the terminal is too narrow, the columns move closer, then
    rows and columns change places, then words of text are folded, and at last the rows stand below each other.
    """
    given = [[printable(cell) for cell in row] for row in rows]
    room = console().width
    if title is not None:
        console().print(title, markup=False, style="italic")
    table = [
        _Column(name.removesuffix("#"), name.endswith("#"), [row[place] for row in given])
        for place, name in enumerate(columns)
    ]
    turned = _turned(table)
    for shown, gap, folds in (
        (table, WIDE_GAP, False),
        (table, NARROW_GAP, False),
        (turned, WIDE_GAP, False),
        (table, NARROW_GAP, True),
    ):
        edges = 2 if gap == WIDE_GAP else 0
        widths = _widths(shown, room - gap * (len(shown) - 1) - edges, folds=folds)
        if widths:
            _print(shown, widths, gap)
            return
    for line in _below_each_other(table):
        console().print(line, markup=False, overflow="fold")


def _turned(table: Sequence[_Column]) -> list[_Column]:
    """Return a table whose columns are the rows, named by their first cells; empty where it would be hard to read."""
    first, *others = table
    if not others or not all(first.cells) or len(set(first.cells)) < len(first.cells):
        return []
    names = [column.header for column in others]
    turned = [
        _Column(name, numeric=True, cells=[column.cells[place] for column in others])
        for place, name in enumerate(first.cells)
    ]
    return [_Column(first.header, numeric=False, cells=names), *turned]


def _widths(table: Sequence[_Column], room: int, *, folds: bool) -> list[int]:
    """Return the widths of the columns, the widest ones cut first; empty where they need more room."""
    least = [column.least(folds=folds) for column in table]
    widths = [max(column.natural, narrowest) for column, narrowest in zip(table, least, strict=True)]
    if not table or sum(least) > room:
        return []
    while sum(widths) > room:
        loose = [place for place, width in enumerate(widths) if width > least[place]]
        widths[max(loose, key=widths.__getitem__)] -= 1
    return widths


def _print(table: Sequence[_Column], widths: Sequence[int], gap: int) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, padding=(0, gap // 2), pad_edge=False, show_edge=gap == WIDE_GAP)
    for column, width in zip(table, widths, strict=True):
        justify = "right" if column.numeric else "left"
        shown.add_column(column.header, justify=justify, overflow="fold", width=width)
    for row in zip(*(column.cells for column in table), strict=True):
        # As text, not markup: names of classes and folders may hold brackets.
        shown.add_row(*map(Text, row))
    blank_line = [] if shown.show_edge else [""]  # the edge has one itself
    console().print(*blank_line, shown, *blank_line, sep="\n")


def _below_each_other(table: Sequence[_Column]) -> Iterator[str]:
    """Give a line for each cell, and a blank one after each row."""
    longest = max(_width(column.header) for column in table)
    yield ""
    for row in zip(*(column.cells for column in table), strict=True):
        for column, cell in zip(table, row, strict=True):
            yield f"{column.header:<{longest}}  {cell}".rstrip()
        yield ""


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
