"""Curves over the epochs: of the search's best trial, and of the models that were trained again."""

from collections.abc import Sequence

from ..pages import BLUE, GREY, ORANGE, Drawing, Plot, Table
from ..results import FamilyResult, RetrainedModel
from ..stores import Trial
from ..study import EpochResult
from ..text import METRIC_NAMES, metric_text
from .charts import accuracy_axis, axis, family_look, figure, finite, no_trial_finished, scatter, vertical_line

CURVES, WEIGHTS, RETRAINED = "Learning curves of the best trial", "Best against last weights", "Training of the models"


def best_trial(result: FamilyResult) -> list[Drawing | Table]:
    """Draw training and validation of the candidate epoch by epoch, and list its best epoch beside its last one."""
    trial = result.candidate
    if trial is None or not trial.epochs:
        missing = (
            no_trial_finished(result.stored.study)
            if trial is None
            else f"The epochs of trial {trial.number} are not stored."
        )
        return [Drawing(heading=CURVES, explanation=missing), Drawing(heading=WEIGHTS, explanation=missing)]
    explanation = (
        f"Trial {trial.number} after each epoch, on the images that it was trained on and on those held out. Its "
        f"best epoch was {trial.best_epoch}, marked in orange. Training is measured as the weights change and under "
        f"augmentation and dropout, validation without them: at first validation may well be better."
    )
    plots = tuple(_against_validation(trial, quantity) for quantity in ("accuracy", "loss"))
    return [Drawing(heading=CURVES, explanation=explanation, plots=plots), _weights_table(trial)]


def retrained(result: FamilyResult) -> Drawing:
    """Draw the training of the retrained models epoch by epoch, a line for each seed."""
    models = [model for model in result.models if model.epochs]
    if not models:
        study = result.stored.study.name
        missing = (
            f"Not retrained yet: `optrack retrain {study}` trains the best configuration on all but the test images."
        )
        return Drawing(heading=RETRAINED, explanation=missing)
    seeds = (
        "under one seed"
        if len(models) == 1
        else f"under {len(models)} seeds, a line for each; the first is the champion"
    )
    explanation = (
        f"The configuration of trial {models[0].run.trial} trained anew on training and validation images together, "
        f"{seeds}. Nothing is held out, so there is no validation; the number of epochs is the search's."
    )
    plots = tuple(_of_each_seed(models, quantity) for quantity in ("accuracy", "loss"))
    return Drawing(heading=RETRAINED, explanation=explanation, plots=plots)


def _against_validation(trial: Trial, quantity: str) -> Plot:
    traces = [
        _curve(trial.epochs, f"{part}_{quantity}", name, color, width=2)
        for part, name, color in (("train", "training", GREY), ("val", "validation", BLUE))
    ]
    value = finite(trial.best_result, f"val_{quantity}")
    marker = {"color": ORANGE, "size": 9}
    best = scatter([trial.best_epoch], [value], "markers", name="best epoch", showlegend=False, marker=marker)
    line = vertical_line(trial.best_epoch, ORANGE)
    return figure([*traces, best], _epoch_axis(), _quantity_axis(quantity), shapes=[line])


def _of_each_seed(models: Sequence[RetrainedModel], quantity: str) -> Plot:
    traces: list[Plot] = []
    for index, model in enumerate(models):
        name, width = ("champion", 2.5) if index == 0 else (f"seed {model.run.number}", 1.5)
        traces.append(_curve(model.epochs, f"train_{quantity}", name, family_look(index)[0], width=width))
    return figure(traces, _epoch_axis(), _quantity_axis(quantity), showlegend=True)


def _curve(epochs: Sequence[EpochResult], metric: str, name: str, color: str, *, width: float) -> Plot:
    numbers, values = [epoch.epoch for epoch in epochs], [finite(epoch, metric) for epoch in epochs]
    line = {"color": color, "width": width}
    return scatter(numbers, values, "lines+markers", name=name, line=line, marker={"size": 4})


def _weights_table(trial: Trial) -> Table:
    best, last = trial.best_result, trial.epochs[-1]
    rows = tuple(
        (words, metric_text(name, best and best.metrics().get(name)), metric_text(name, last.metrics().get(name)))
        for name, words in METRIC_NAMES.items()
    )
    ended = (
        "They are the same: it was best at its end." if last.epoch == trial.best_epoch else "The best ones were kept."
    )
    return Table(
        heading=WEIGHTS,
        explanation=f"Trial {trial.number} with the weights of its best epoch and of its last one. {ended}",
        columns=("metric", f"best, epoch {trial.best_epoch}#", f"last, epoch {last.epoch}#"),
        rows=rows,
    )


def _epoch_axis() -> Plot:
    return axis("epoch", tickformat="d", nticks=8)


def _quantity_axis(quantity: str) -> Plot:
    return accuracy_axis() if quantity == "accuracy" else axis("loss", rangemode="tozero")
