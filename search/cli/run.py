"""`optrack run`: search."""

import json
import math
import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import StudyError, unknown
from . import options
from .best import print_best
from .process import INTERRUPTED, machine_of, place_options, print_next, print_outcome, stop_on_signals
from .stored import quiet_optuna, stored_study

if TYPE_CHECKING:
    from ..launchers import Machine, Outcome
    from ..stores import Places
    from ..study import Choice, Family, Pruner, Sampler, Study


def run(
    study: options.StudyArgument,
    *,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Trials of each family at the end, including stored ones.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of a trial that is not stopped early.")] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Epochs without improvement after which a trial ends.")
    ] = None,
    total_epochs: Annotated[
        int | None, typer.Option(min=1, help="Trained epochs of each family, including stored ones.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(min=0.001, metavar="SECONDS", help="Stop after this time.")] = None,
    family: options.FamilyOption = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Seed of proposals and training.")] = None,
    sampler: Annotated[str | None, typer.Option(help="tpe, gp, cmaes, qmc, random or grid.")] = None,
    sampler_option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the sampler.")
    ] = None,
    pruner: Annotated[str | None, typer.Option(help="asha, hyperband, median, wilcoxon or none.")] = None,
    pruner_option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the pruner.")
    ] = None,
    launcher: options.LauncherOption = "processes",
    workers: options.WorkersOption = None,
    threads: options.ThreadsOption = None,
    device: options.DeviceOption = "auto",
    data_dir: options.DataDirOption = options.DEFAULT_DATA_DIR,
    cache_dir: options.CacheDirOption = options.DEFAULT_CACHE_DIR,
    storage: options.StorageOption = options.DEFAULT_STORAGE,
    tracking_uri: options.TrackingOption = options.DEFAULT_TRACKING_URI,
) -> int:
    """Search: propose, train, prune and record, until every family has its trials.

    Numbers are totals: `--trials 40` means 40 trials at the end, whatever was stored before. An interrupted run resumes
    where it stopped when it is started again.
    """
    from pydantic import ValidationError

    from ..study import Pruner, Sampler, first_problem, load_study

    found = load_study(study)
    limits = {
        "trials": trials,
        "epochs": epochs,
        "patience": patience,
        "total_epochs": total_epochs,
        "timeout_seconds": timeout,
    }
    sampler_name, sampler_options = _strategy(found.sampler, "sampler", sampler, sampler_option)
    pruner_name, pruner_options = _strategy(found.pruner, "pruner", pruner, pruner_option)
    try:
        changed = replace(
            found,
            budget=replace(found.budget, **{name: value for name, value in limits.items() if value is not None}),
            families=_chosen(found, family),
            seed=found.seed if seed is None else seed,
            sampler=Sampler(sampler_name, options=sampler_options),
            pruner=Pruner(pruner_name, options=pruner_options),
        )
    except ValidationError as error:
        raise StudyError(first_problem(error)) from None
    machine = machine_of(launcher=launcher, device=device, workers=workers, threads=threads)
    from ..stores import Places

    places = Places(storage=storage, tracking_uri=tracking_uri, data_dir=data_dir, cache_dir=cache_dir)
    return _search(study, changed, places, machine)


def _search(reference: str, study: "Study", places: "Places", machine: "Machine") -> int:
    from ..coordinator import run_study
    from .progress import LineProgress, LiveProgress

    quiet_optuna()
    with LiveProgress() if sys.stderr.isatty() else LineProgress() as display:
        outcome = run_study(
            study,
            places=places,
            machine=machine,
            observer=display,
            on_start=lambda coordinator: stop_on_signals(coordinator.stop),
        )
    _, families = stored_study(study.name, places.storage)
    if any(family.best for family in families):
        print_best(study.name, families)
    return _closing_words(reference, outcome, places)


def _chosen(study: "Study", names: list[str] | None) -> "tuple[Family, ...]":
    """Return the families that were named, or all.

    Raises:
        StudyError: no family has that name.
    """
    known = {family.name: family for family in study.families}
    for name in names or ():
        if name not in known:
            raise StudyError(unknown(f"{study.name} family", name, known))
    return tuple(known[name] for name in dict.fromkeys(names or known))


def _strategy(
    current: "Sampler | Pruner", kind: str, name: str | None, given: list[str] | None
) -> "tuple[str, dict[str, Choice]]":
    """Return name and options of a sampler or pruner as the command line changes them; a new name drops old options."""
    kept = dict(current.options) if name in (None, current.name) else dict[str, "Choice"]()
    return name or current.name, {**kept, **dict(_key_value(kind, text) for text in given or ())}


def _key_value(kind: str, text: str) -> "tuple[str, Choice]":
    """Split `n_startup_trials=5` into a pair; the value is read as JSON if it is JSON, else as a string.

    Raises:
        StudyError: the text has another form.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise StudyError(f"--{kind}-option must have the form KEY=VALUE, but got {text!r}")
    try:
        parsed: Any = json.loads(value)
    except ValueError:
        parsed = value
    if isinstance(parsed, float) and not math.isfinite(parsed):
        parsed = value  # Python accepts NaN and Infinity as JSON
    if not isinstance(parsed, bool | int | float | str | None):
        raise StudyError(f"--{kind}-option {name} must be a number, a text, true, false or null, but got {value!r}")
    return name, parsed


def _closing_words(reference: str, outcome: "Outcome", places: "Places") -> int:
    """Say what happened, and the next three commands that make sense; return the exit code."""
    reference = shlex.quote(reference)
    code = print_outcome(outcome, f"optrack run {reference}{place_options(places)}", "trials")
    if code == INTERRUPTED:
        return code
    print_next(
        [
            (
                f"optrack importance {reference}{place_options(places, tracking=False, data=False)}",
                "which hyperparameters matter, as a page with figures",
            ),
            (f"optrack ui{place_options(places, data=False)}", "all trials in MLflow's UI and optuna-dashboard"),
            (f"optrack retrain {reference}{place_options(places)}", "the best configurations again, on all images"),
        ]
    )
    return code
