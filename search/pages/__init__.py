"""HTML pages and the look that their figures share."""

from .drawing import Drawing, Table
from .html import render, write
from .look import (
    BLUE,
    FILL,
    GREEN,
    GREY,
    ORANGE,
    POOR_TO_GOOD,
    STATE_COLORS,
    TEMPLATE,
    YELLOW,
    Plot,
    error_bars,
    escaped_text,
)

__all__ = [
    "BLUE",
    "FILL",
    "GREEN",
    "GREY",
    "ORANGE",
    "POOR_TO_GOOD",
    "STATE_COLORS",
    "TEMPLATE",
    "YELLOW",
    "Drawing",
    "Plot",
    "Table",
    "error_bars",
    "escaped_text",
    "render",
    "write",
]
