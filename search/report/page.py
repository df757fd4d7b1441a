"""The page as HTML, and the file that it is written to."""

import os
import secrets
from datetime import datetime
from pathlib import Path

import jinja2

from ..plot_look import TEMPLATE
from ..results import StudyResults
from .content import content

FOLDER = Path(__file__).parent


def write_report(path: Path, results: StudyResults, *, reference: str) -> None:
    """Writes a page about a study, one HTML file that needs no network.

    Args:
        path: where to; the folder is made, and a page that is there is replaced in one step.
        results: of the study, at any moment.
        reference: how the user names the study on the command line, for the commands that are shown.
    """
    page = render_report(results, reference=reference)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(page, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def render_report(results: StudyResults, *, reference: str) -> str:
    """The page about a study as HTML.

    Args:
        results: of the study, at any moment.
        reference: how the user names the study on the command line, for the commands that are shown.
    """
    from plotly.offline import get_plotlyjs  # pyright: ignore[reportMissingTypeStubs]  heavy, untyped

    said = content(results, reference=reference)
    return _template().render(
        content=said,
        look=TEMPLATE,
        plots=[plot for drawing in said.all_drawings for plot in drawing.plots],
        plotly=get_plotlyjs(),
        nonce=secrets.token_urlsafe(16),
        written=datetime.now().astimezone(),
    )


def _template() -> jinja2.Template:
    # Names, classes and choices come from other people's files: everything is escaped.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([FOLDER, FOLDER.parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")
