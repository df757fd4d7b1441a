"""`optrack retrain`: train the best configurations again, on all images."""

from collections.abc import Callable
from typing import Annotated

import typer

from ..errors import StudyError
from . import options
from .output import say
from .process import (
    command,
    machine_of,
    mlflow_waited_for,
    print_next,
    print_outcome,
    resuming,
    stop_on_signals,
)
from .stored import chosen, stored_study, study_file


def retrain(
    context: typer.Context,
    study: options.StudyArgument,
    *,
    family: options.FamilyOption = None,
    seeds: Annotated[int, typer.Option(min=1, help="Models of each family, each under its own seed.")] = 3,
    confirm: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="First race the N best configurations, 2 or more, each under N fresh seeds, on validation images.",
        ),
    ] = 0,
    launcher: options.LauncherOption = "processes",
    workers: options.WorkersOption = None,
    threads: options.ThreadsOption = None,
    hang_timeout: options.HangTimeoutOption = None,
    device: options.DeviceOption = "auto",
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    cache_dir: options.CacheDirOption = options.DEFAULT_CACHE_DIR,
    storage: options.StorageOption = options.DEFAULT_STORAGE,
    tracking_uri: options.TrackingOption = options.DEFAULT_TRACKING_URI,
    wait: options.WaitOption = options.PATIENT_WAIT_SECONDS,
) -> int:
    """Train the best configuration of each family again, on all images, and register the champions.

    Training and validation images are trained on, and each configuration for as many epochs as it was best at. What was
    trained before is not trained again.
    """
    if confirm == 1:
        raise StudyError("--confirm must be at least 2 configurations, or 0 for no race, but got 1")
    _, stored = stored_study(study, storage)
    only = [each.name for each in chosen(stored, family)]
    machine = machine_of(launcher=launcher, device=device, workers=workers, threads=threads, hang_timeout=hang_timeout)

    from ..retraining import retrain_study
    from ..stores import Places
    from .training_progress import TrainingProgress

    places = Places(storage=storage, tracking_uri=tracking_uri, data_dir=data_dir, cache_dir=cache_dir)
    display = TrainingProgress()
    again = resuming(context, places, study)
    with display.live, mlflow_waited_for(wait, again, resumes=True) as waiting:

        def until_signal(stop: Callable[[], None]) -> None:
            def both() -> None:
                stop()
                waiting.stop()

            stop_on_signals(both)

        outcome = retrain_study(
            stored,
            only=only,
            file=study_file(study),
            seeds=seeds,
            confirm=confirm,
            places=places,
            machine=machine,
            observer=display,
            on_start=until_signal,
        )
    code = print_outcome(outcome, again)
    if outcome.failed:
        say(f"failed trainings: {outcome.failed}; their runs in MLflow hold failure.txt")
    if not code:
        print_next(
            [
                (command("test", places, study), "open the test images, once, and compare the families"),
                (command("report", places, study), "one page about all of it"),
                (command("export", places, study), "the winner as ONNX"),
            ]
        )
    return code
