"""The tables of the page that are lists of trials, models or costs."""

from collections.abc import Sequence
from statistics import fmean, stdev

from ..pages import Table
from ..results import FamilyResult, RetrainedModel
from ..stores import StoredFamily
from ..text import METRIC_NAMES, NOTHING, count, duration, metric_difference, metric_text, percent, plural
from .replicates import noise


def race_table(result: FamilyResult) -> Table | None:
    """Return the configurations that were raced over fresh seeds; None without a race."""
    if not result.raced:
        return None
    metric = result.stored.study.metric
    found = {trial.number: trial.value for trial in result.stored.all_trials}
    rows = tuple(
        (
            f"{trial}, chosen" if result.candidate and trial == result.candidate.number else str(trial),
            metric_text(metric, found.get(trial)),
            ", ".join(metric_text(metric, value) for value in values) or NOTHING,
            metric_text(metric, fmean(values) if values else None),
        )
        for trial, values in result.raced.items()
    )
    return Table(
        heading="Race",
        explanation=(
            f"The best configurations of the search, trained again under fresh seeds, by {METRIC_NAMES[metric]}: "
            "the search's own value of a trial is partly luck, the mean over fresh seeds less so."
        ),
        columns=("trial", "in the search#", "under fresh seeds", "mean#"),
        rows=rows,
    )


def model_table(result: FamilyResult) -> Table | None:
    """Return the retrained models, one row for each seed; None while there are none."""
    if not result.models:
        return None
    rows = [_model_row(model) for model in result.models]
    return Table(
        heading="Retrained",
        explanation=(
            "Trained anew on training and validation images together, the schedule stretched to the number of epochs "
            "at which the configuration was best. The first seed is the champion: choosing by the test would be a "
            "leak. The seeds themselves stand under Provenance."
        ),
        columns=tuple(rows[0]),
        rows=tuple(tuple(row.values()) for row in rows),
    )


def _model_row(model: RetrainedModel) -> dict[str, str]:
    test = model.test
    return {
        "model": "1, champion" if model.run.number == 1 else str(model.run.number),
        "epochs#": count(len(model.epochs)),
        "time#": duration(model.seconds),
        "last training accuracy#": percent(model.epochs[-1].train_accuracy if model.epochs else None),
        "test accuracy#": percent(test and test.accuracy),
        "test loss#": f"{test.loss:.4f}" if test else NOTHING,
        "calibration error#": percent(test and test.calibration_error),
        "openings#": count(test and test.openings),
    }


def replicate_table(stored: StoredFamily) -> Table | None:
    """Return the trials that repeat a configuration, one row for each configuration; None without any."""
    found = noise(stored)
    if found is None:
        return None
    metric = stored.study.metric
    rows = tuple(
        (
            ", ".join(str(trial) for trial in values),
            ", ".join(metric_text(metric, value) for value in values.values()),
            metric_text(metric, fmean(values.values())),
            metric_difference(metric, stdev(values.values())),
        )
        for values in found.groups
    )
    explanation = (
        f"{plural(sum(map(len, found.groups)), 'trial')} trained {plural(len(rows), 'configuration')} under different "
        f"seeds. By chance alone {METRIC_NAMES[metric]} has a standard deviation of "
        f"{metric_difference(metric, found.deviation)} (pooled, degrees of freedom: {found.degrees}): two trials that "
        "differ by less than about three times that may well be equal."
    )
    return Table(
        heading="Replicates",
        explanation=explanation,
        columns=("trials", METRIC_NAMES[metric], "mean#", "standard deviation#"),
        rows=rows,
    )


def cost_table(families: Sequence[FamilyResult]) -> Table | None:
    """Return what each family cost, and all together; None without families."""
    if not families:
        return None
    costs = [_costs(family.stored, family.retraining_seconds) for family in families]
    together = [sum(column) for column in zip(*costs, strict=True)]
    return Table(
        heading="Cost",
        explanation=(
            "Epochs are those that were trained, also of trials that were stopped early. Times are of training alone, "
            "added up over workers that ran side by side; waiting, decoding and starting are not in them."
            f"{_cost_apart(families)}"
        ),
        columns=("family", "finished#", "pruned#", "failed#", "epochs#", "search#", "retraining#", "both#"),
        rows=(
            *(_cost_texts(family.name, cost) for family, cost in zip(families, costs, strict=True)),
            *([_cost_texts("together", together)] if len(families) > 1 else []),
        ),
    )


def _cost_apart(families: Sequence[FamilyResult]) -> str:
    """Say what the trials took that are kept apart; empty where there are none."""
    apart = [trial for family in families for trial in family.stored.apart]
    took = duration(sum(trial.seconds for trial in apart))
    return f" {plural(len(apart), 'trial')} of other numbers of epochs took {took}, beside all this." if apart else ""


def _costs(stored: StoredFamily, retraining: float) -> list[float]:
    """Return trials by state, epochs, and seconds of search and of retraining."""
    counts = stored.counts
    return [counts["finished"], counts["pruned"], counts["failed"], stored.epochs, stored.seconds, retraining]


def _cost_texts(name: str, cost: Sequence[float]) -> tuple[str, ...]:
    *numbers, search, retraining = cost
    times = (search, retraining, search + retraining)
    return (
        name,
        *(count(round(number)) for number in numbers),
        *(duration(time) if time else NOTHING for time in times),
    )
