"""A table that stands between figures."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A heading, a sentence, and rows of text below them; all of it is plain text, which a page has to escape.

    Attributes:
        heading: What it shows.
        explanation: How to read it.
        columns: [K] names; one that ends with `#` holds numbers and stands to the right.
        rows: [R] of [K] cells, at least one row.
    """

    heading: str
    explanation: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
