"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from .. import defaults

DEFAULT_STORAGE = defaults.STORAGE
DEFAULT_TRACKING_URI = defaults.TRACKING_URI
DEFAULT_DATA_DIR = defaults.DATA_DIR
DEFAULT_CACHE_DIR = defaults.CACHE_DIR
DEFAULT_MARGIN_POINTS = 100 * defaults.MARGIN

DEFAULT_WAIT_SECONDS = 60.0
"""Until a server that was restarted answers again; somebody looks on."""

PATIENT_WAIT_SECONDS = 900.0
"""As long as a search waits for its storage: nobody sits beside a retraining."""

StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="A shipped study (`optrack studies`), or the path of a study file.")
]
StorageOption = Annotated[str, typer.Option(metavar="URL", help="Optuna's storage.")]
TrackingOption = Annotated[
    str, typer.Option(metavar="URI", envvar="MLFLOW_TRACKING_URI", help="Where MLflow keeps its records.")
]
DataDirOption = Annotated[
    Path, typer.Option(metavar="DIR", envvar="OPTRACK_DATA", help="Where data sets are looked for.")
]
CacheDirOption = Annotated[Path, typer.Option(metavar="DIR", help="Where decoded images are kept.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
LauncherOption = Annotated[str, typer.Option(help="processes, or inline for one job at a time in this process.")]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Jobs at once; default: one per core, or per GPU.")]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, help="Torch threads of each worker; default: an equal share.")
]
HangTimeoutOption = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        metavar="SECONDS",
        help="Kill a worker that gives no sign for so long; default: ten times its longest epoch, at least a minute.",
    ),
]
WaitOption = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="How long MLflow may stay away at a time before this gives up.")
]
RunSourceOption = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Run this recorded code of a user-defined network if it is not at hand."),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
ChampionOption = Annotated[
    str | None, typer.Option("--family", metavar="NAME", help="Whose champion; default: the study's best one.")
]
MarginOption = Annotated[
    float, typer.Option(min=0.01, max=100, metavar="POINTS", help="The least difference of two families that matters.")
]
FamilyOption = Annotated[list[str] | None, typer.Option(help="Only this family; may be given again.")]
