"""The page as HTML, and the file that it is written to."""

from pathlib import Path

from ..pages import render, write
from ..results import StudyResults
from .content import content


def write_report(path: Path, results: StudyResults, *, reference: str) -> None:
    """Write a page about a study, one HTML file that needs no network.

    Args:
        path: where to; the folder is made, and a page that is there is replaced in one step.
        results: of the study, at any moment.
        reference: how the user names the study on the command line, for the commands that are shown.

    Raises:
        StorageError: it cannot be written.
    """
    write(path, render_report(results, reference=reference))


def render_report(results: StudyResults, *, reference: str) -> str:
    """Render the page about a study as HTML.

    Args:
        results: of the study, at any moment.
        reference: how the user names the study on the command line, for the commands that are shown.
    """
    said = content(results, reference=reference)
    plots = [plot for drawing in said.all_drawings for plot in drawing.plots]
    return render(Path(__file__).with_name("report.html"), plots=plots, content=said)
