"""One page about a study that a reader understands without us."""

from .page import render_report, write_report

__all__ = ["render_report", "write_report"]
