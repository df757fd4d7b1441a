"""HTML pages, most with figures: rendered with what all of them share, and written in one step."""

import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2

from ...sources import unfinished
from .. import text
from ..errors import StorageError
from .look import TEMPLATE

ROOM = Path(__file__).parent
FILTERS: dict[str, Any] = {
    "duration": text.duration,
    "number": text.count,
    "percent": text.percent,
    "percent_range": text.percent_range,
    "plural": text.plural,
    "settings": text.setting_texts,
    "value": text.value_text,
}
"""What templates format by: `{{ family.parameters | number }}`."""


def render(template: Path, *, figures: bool, nonce: str | None = None, **values: Any) -> str:
    """Render a page that needs no network.

    Args:
        template: its file; what it includes lies beside it or in this room.
        figures: whether it has any, and so needs the library that draws them.
        nonce: what marks the page's own scripts and styles, where a header names it too; None draws one.
        **values: what the template shows besides; everything is escaped, as names and choices are user input.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, ROOM]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    environment.filters.update(FILTERS)
    return environment.get_template(template.name).render(
        look=TEMPLATE,
        plots=[],
        plotly=_library() if figures else None,
        nonce=nonce or secrets.token_urlsafe(16),
        written=datetime.now().astimezone(),
        **values,
    )


def _library() -> str:
    """Return the script that draws figures."""
    from plotly.offline import get_plotlyjs  # pyright: ignore[reportMissingTypeStubs]  heavy, untyped

    return get_plotlyjs()


def write(path: Path, page: str) -> None:
    """Write a page into a folder that is there; a page of that name is replaced in one step.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        with unfinished(path) as file:
            file.write_text(page, encoding="utf-8")
            file.replace(path)
    except OSError as error:
        raise StorageError(f"--output {path} cannot be written: {error.strerror}") from None
