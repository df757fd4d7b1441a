"""What stands on a page below a heading: figures, and tables between them."""

from dataclasses import dataclass

from .look import Plot


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A heading, a sentence, and what is drawn below them.

    Attributes:
        heading: what it shows.
        explanation: how to read it, or why it cannot be drawn.
        plots: the figures, side by side where there is room; none if it cannot be drawn.
        caution: what keeps the figures from being trusted; empty if nothing does.
        minimum_width: pixels below which a figure cannot be read and has to be scrolled instead; 0 if any will do.
    """

    heading: str
    explanation: str
    plots: tuple[Plot, ...] = ()
    caution: str = ""
    minimum_width: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A heading, a sentence, and rows of text below them; all of it is plain text, which a page has to escape.

    Attributes:
        heading: what it shows.
        explanation: how to read it.
        columns: [K] names; one that ends with `#` holds numbers and is right-aligned.
        rows: [R] of [K] cells, at least one row.
    """

    heading: str
    explanation: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
