"""`optrack predict`: classify images with a champion."""

import csv
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...sources import csv_text, printable
from ..errors import StudyError
from . import options
from .output import console, print_json, say
from .process import FAILED, mlflow_waited_for, resuming
from .stored import study_name
from .tables import print_table

if TYPE_CHECKING:
    from ..champions import Prediction, UnreadableImage

COLUMNS = ("file", "label", "confidence", "second", "second_confidence", "third", "third_confidence")


def predict(
    context: typer.Context,
    study: options.StudyArgument,
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Image files, folders of images, or - for a list on stdin.")
    ],
    family: options.ChampionOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Answer in CSV.")] = False,  # noqa: FBT002 - typer's form
    run_source: options.RunSourceOption = None,
    tracking_uri: options.TrackingOption = options.DEFAULT_TRACKING_URI,
    wait: options.WaitOption = options.DEFAULT_WAIT_SECONDS,
    as_json: options.JsonOption = False,  # noqa: FBT002 - typer's form
) -> int:
    """Classify images with a champion: the label, its confidence, and the next two.

    Images of any size and mode are prepared like the training images. Unreadable files are named and skipped.
    """
    if as_csv and as_json:
        raise StudyError("--csv and --json cannot both be given")
    named = [Path(line) for path in paths for line in (_listed() if path == "-" else [path])]
    again = resuming(context, {"tracking_uri": tracking_uri}, study)
    with console(stderr=True).status("loading"), mlflow_waited_for(wait, again):  # torch takes seconds to import
        from ..champions import UnreadableImage, image_files, load_champion, predict
        from .progress import bars

        files = image_files(named)
        champion = load_champion(study_name(study), family, tracking_uri=tracking_uri, run_source=run_source)
    with bars() as shown:
        answers = list(shown.track(predict(champion, files), total=len(files), description="images"))
    rows = [[str(answer.file), *_cells(answer)] for answer in answers if not isinstance(answer, UnreadableImage)]
    if as_json:
        print_json([_as_json(answer) for answer in answers])
    elif as_csv:
        cells = [[_csv_file(file), *map(csv_text, others)] for file, *others in rows]
        csv.writer(sys.stdout, lineterminator="\n").writerows([COLUMNS, *cells])
    elif rows:
        columns = ["image", "label", "confidence#", "next", "confidence#", "next", "confidence#"]
        print_table(columns, rows, title=f"{champion.family} of {champion.study}")
    unreadable = [answer for answer in answers if isinstance(answer, UnreadableImage)]
    for image in unreadable:
        say(f"skipped: {image.reason}")
    return FAILED if unreadable else 0


def _listed() -> list[str]:
    """Return the paths on standard input, one per line."""
    lines = os.fsdecode(sys.stdin.buffer.read()).split("\n")
    return [line for line in (line.rstrip("\r") for line in lines) if line.strip()]


def _csv_file(file: str) -> str:
    """Return a path for a cell of a CSV file: one that a spreadsheet would take for a formula gets `./` before it."""
    return csv_text(file if csv_text(file) == printable(file) else f"./{file}")


def _cells(answer: "Prediction") -> list[str]:
    """Return labels and confidences; blanks where there are fewer classes."""
    cells = [cell for label, confidence in answer.ranking for cell in (label, f"{confidence:.4f}")]
    return [*cells, *[""] * (len(COLUMNS) - 1 - len(cells))]


def _as_json(answer: "Prediction | UnreadableImage") -> dict[str, Any]:
    from ..champions import UnreadableImage

    if isinstance(answer, UnreadableImage):
        return {"file": str(answer.file), "error": answer.reason}
    (label, confidence), *others = answer.ranking
    return {
        "file": str(answer.file),
        "label": label,
        "confidence": confidence,
        "next": [{"label": other, "confidence": share} for other, share in others],
    }
