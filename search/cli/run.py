"""`optrack run`: search."""

import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import StudyError
from ..text import listing, shortened
from . import options
from .best import print_best
from .output import say
from .process import (
    FAILED,
    INTERRUPTED,
    command,
    machine_of,
    print_next,
    print_outcome,
    resuming,
    stop_on_signals,
    with_way_on,
)
from .stored import chosen, quiet_optuna, stored_study

if TYPE_CHECKING:
    from ..launchers import Outcome
    from ..stores import Places, Trial
    from ..study import Choice, Pruner, Sampler

LONGEST_REASON = 200
"""Characters of a reason for which trials failed, in a line; all of it is in MLflow."""


def run(
    context: typer.Context,
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
        int | None,
        typer.Option(min=1, help="Trained epochs of each family, including stored ones; at least those of one trial."),
    ] = None,
    timeout: Annotated[float | None, typer.Option(min=0.001, metavar="SECONDS", help="Stop after this time.")] = None,
    family: options.FamilyOption = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Seed of proposals and training.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Train failed trials again.")] = False,
    sampler: Annotated[str | None, typer.Option(help="tpe, gp, cmaes, qmc, random or grid.")] = None,
    sampler_option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the sampler.")
    ] = None,
    pruner: Annotated[
        str | None, typer.Option(help="asha (or successive_halving), hyperband, median, wilcoxon or none.")
    ] = None,
    pruner_option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the pruner.")
    ] = None,
    launcher: options.LauncherOption = "processes",
    workers: options.WorkersOption = None,
    threads: options.ThreadsOption = None,
    hang_timeout: options.HangTimeoutOption = None,
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
    limits = {"trials": trials, "epochs": epochs, "patience": patience, "total_epochs": total_epochs}
    limits |= {"timeout_seconds": timeout}
    sampler_name, sampler_options = _strategy(found.sampler, "sampler", sampler, sampler_option)
    pruner_name, pruner_options = _strategy(found.pruner, "pruner", pruner, pruner_option)
    try:
        changed = replace(
            found,
            budget=replace(found.budget, **{name: value for name, value in limits.items() if value is not None}),
            seed=found.seed if seed is None else seed,
            sampler=Sampler(sampler_name, options=sampler_options),
            pruner=Pruner(pruner_name, options=pruner_options),
        )
    except ValidationError as error:
        raise StudyError(first_problem(error)) from None
    only = [each.name for each in chosen(found.families, family, f"{found.name} family")]
    machine = machine_of(launcher=launcher, device=device, workers=workers, threads=threads, hang_timeout=hang_timeout)

    from ..coordinator import run_study
    from ..stores import Places
    from ..stores import trials as records
    from .progress import LineProgress, LiveProgress

    places = Places(storage=storage, tracking_uri=tracking_uri, data_dir=data_dir, cache_dir=cache_dir)
    quiet_optuna()
    display = LiveProgress() if sys.stderr.isatty() else LineProgress()
    again = resuming(context, places, study)
    with display.live, with_way_on(again):
        outcome = run_study(
            changed,
            only=only,
            places=places,
            machine=machine,
            observer=display,
            retry_failed=retry_failed,
            on_start=stop_on_signals,
        )
    _, stored = stored_study(changed.name, storage)
    answer = records.best(changed.name, stored)
    if answer["families"]:
        print_best(answer)
    diverged = [each.name for each in stored if each.name in only and each.all_diverged]
    return _closing_words(study, outcome, places, again, [trial for each in stored for trial in each.ended], diverged)


def _strategy(
    current: "Sampler | Pruner", kind: str, name: str | None, given: list[str] | None
) -> "tuple[str, dict[str, Choice]]":
    """Return name and options of a sampler or pruner as the command line changes them; a new name drops old options."""
    kept = dict(current.options) if name in (None, current.name) else dict[str, "Choice"]()
    return name or current.name, {**kept, **dict(_key_value(kind, text) for text in given or ())}


def _key_value(kind: str, text: str) -> "tuple[str, Choice]":
    """Split `n_startup_trials=5` into a pair; the value is read as JSON if it is JSON, else as a string."""
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


def _closing_words(
    reference: str,
    outcome: "Outcome",
    places: "Places",
    again: str,
    ended: "Sequence[Trial]",
    diverged: Sequence[str] = (),
) -> int:
    """Say what happened, and the next three commands that make sense; return the exit code."""
    code = print_outcome(outcome, again)
    if diverged:
        say(
            f"all trials of {listing(diverged)} diverged: no epoch has a finite loss; "
            "search lower learning rates (lr), or limit the gradient (gradient_clip)"
        )
        code = code or FAILED
    if outcome.refused:
        say(f"not searched, as said above: {listing(list(outcome.refused))}")
    reasons = Counter(shortened(trial.failure, LONGEST_REASON) for trial in ended if trial.failure is not None)
    if reasons:
        listed = ", ".join(f"{reason} ({count})" if len(reasons) > 1 else reason for reason, count in reasons.items())
        say(f"{reasons.total()} of {len(ended)} failed: {listed}; `{again} --retry-failed` tries them again")
    if code != INTERRUPTED:
        print_next(
            [
                (command("importance", places, reference), "which hyperparameters matter, as a page with figures"),
                (command("ui", places), "all trials in MLflow's UI and optuna-dashboard"),
                (command("retrain", places, reference), "the best configurations again, on all images"),
            ]
        )
    return code
