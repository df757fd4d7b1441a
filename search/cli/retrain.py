"""`optrack retrain`: train the best configurations again, on all images."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from .options import (
    DEFAULT_CACHE_DIR,
    DEFAULT_DATA_DIR,
    DEFAULT_STORAGE,
    DEFAULT_TRACKING_URI,
    CacheDirOption,
    DataDirOption,
    DeviceOption,
    FamilyOption,
    LauncherOption,
    StorageOption,
    StudyArgument,
    ThreadsOption,
    TrackingOption,
    WorkersOption,
)
from .output import console
from .process import FAILED, INTERRUPTED, machine_of, place_options, print_next, stop_on_signals
from .stored import chosen_families, stored_study

if TYPE_CHECKING:
    from ..retraining.retraining import RetrainingOutcome
    from ..stores.places import Places


def retrain(
    study: StudyArgument,
    *,
    family: FamilyOption = None,
    seeds: Annotated[int, typer.Option(min=1, help="Models of each family, each under its own seed.")] = 3,
    confirm: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="First race the N best configurations over as many fresh seeds on validation images.",
        ),
    ] = 0,
    launcher: LauncherOption = "processes",
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "auto",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    cache_dir: CacheDirOption = DEFAULT_CACHE_DIR,
    storage: StorageOption = DEFAULT_STORAGE,
    tracking_uri: TrackingOption = DEFAULT_TRACKING_URI,
) -> int:
    """Train the best configuration of each family again, on all images, and register the champions.

    Training and validation images are trained on, and each configuration for as many epochs as it was best at. What was
    trained before is not trained again.
    """
    _, stored = stored_study(study, storage)
    chosen = chosen_families(stored, family)
    machine = machine_of(launcher=launcher, device=device, workers=workers, threads=threads)

    from ..retraining.retraining import retrain_study
    from ..stores.places import Places
    from .training_progress import TrainingProgress

    places = Places(storage=storage, tracking_uri=tracking_uri, data_dir=data_dir, cache_dir=cache_dir)
    with TrainingProgress() as display:
        outcome = retrain_study(
            stored,
            only=[each.name for each in chosen],
            seeds=seeds,
            confirm=confirm,
            places=places,
            machine=machine,
            observer=display,
            on_decoded=display.decoded,
            on_start=lambda retraining: stop_on_signals(retraining.stop),
        )
    return _closing_words(study, outcome, places)


def _closing_words(reference: str, outcome: "RetrainingOutcome", places: "Places") -> int:
    """What happened, and the next commands that make sense; the exit code."""
    say = console(stderr=True)
    reference = shlex.quote(reference)
    where = place_options(places)
    if outcome.interrupted:
        say.print(f"interrupted: `optrack retrain {reference}{where}` goes on", markup=False, soft_wrap=True)
        return INTERRUPTED
    if outcome.failed:
        say.print(f"failed trainings: {outcome.failed}; their runs in MLflow hold failure.txt", markup=False)
        return FAILED
    print_next(
        [
            (f"optrack test {reference}{where}", "open the test images, once, and compare the families"),
            (f"optrack report {reference}{place_options(places, data=False)}", "one page about all of it"),
            (
                f"optrack export {reference}{place_options(places, data=False, storage=False)}",
                "the winner as ONNX",
            ),
        ]
    )
    return 0
