"""`optrack report`: one page about a study."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from ..errors import NothingStoredError
from . import options
from .output import console, output_file, say
from .process import mlflow_waited_for, resuming
from .stored import stored_study


def report(
    context: typer.Context,
    study: options.StudyArgument,
    *,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: STUDY-report.html.")] = None,
    margin: options.MarginOption = options.DEFAULT_MARGIN_POINTS,
    storage: options.StorageOption = options.DEFAULT_STORAGE,
    tracking_uri: options.TrackingOption = options.DEFAULT_TRACKING_URI,
    wait: options.WaitOption = options.DEFAULT_WAIT_SECONDS,
) -> None:
    """Write one page about a study, which needs no network; at any moment, saying what is not there yet."""
    name, stored = stored_study(study, storage)
    page = output_file(output, f"{name}-report.html")

    from ..pages import write
    from ..report import render_report
    from ..results import collect
    from ..stores import is_read_only, log_report, shown

    with mlflow_waited_for(wait, resuming(context, {"storage": storage, "tracking_uri": tracking_uri}, study)):
        results = collect(stored, storage=storage, tracking_uri=tracking_uri)
        write(page, render_report(results, reference=study, margin=margin / 100))
        if is_read_only(tracking_uri):
            say(f"{shown(tracking_uri)} may only be read here: the page is not added to the study's records")
        else:
            with suppress(NothingStoredError):  # a study that another MLflow recorded
                log_report(tracking_uri, name, page.read_bytes())
    console().print(str(page), markup=False, soft_wrap=True)
