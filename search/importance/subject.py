"""What is drawn of a study, and how a figure of Optuna's becomes one of ours.

Optuna computes what is drawn; here it is thinned where it would be too much for a page, and coloured.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import optuna
from optuna.trial import FrozenTrial

from ..pages import Plot, escaped_text
from .importance import Importances
from .trials import escaped_study, finite_trials, study_of, value_of

PANEL_HEIGHT, HEIGHT = 260, 360
NONE_FINISHED = "No trial is finished yet."

Drawn: TypeAlias = tuple[str, Sequence[Plot]]
"""A sentence and figures; without figures the sentence says why there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is drawn: copies of a study, so that all figures show the same moment and no string is taken for markup.

    Attributes:
        study: all trials, under their numbers.
        metric: what the study optimizes, for sentences.
        label: the same for figures.
        parameters: those of the finished trials, the most important first.
        importances: which of them have a rank, and how far that can be trusted; its names are not escaped.
    """

    study: optuna.Study
    metric: str
    label: str
    parameters: tuple[str, ...]
    importances: Importances

    @property
    def finished(self) -> list[FrozenTrial]:
        """The finished trials with a finite value."""
        return finite_trials(self.study)

    def sample(self, size: int) -> optuna.Study:
        """Return the study with at most so many finished trials, evenly spaced from the worst to the best, in order."""
        trials = self.finished
        if len(trials) <= size:
            return self.study
        by_value = sorted(trials, key=value_of)
        kept = {by_value[round(i * (len(trials) - 1) / (size - 1))].number for i in range(size)}
        return study_of(self.study.direction, [trial for trial in trials if trial.number in kept])


def subject_of(study: optuna.Study, metric: str, importances: Importances) -> Subject:
    """Return what is drawn of a study."""
    copied = escaped_study(study)
    ranked = [escaped_text(name) for name in importances.values]
    others = {name for trial in finite_trials(copied) for name in trial.params} - set(ranked)
    return Subject(
        study=copied,
        metric=metric,
        label=escaped_text(metric),
        parameters=(*ranked, *sorted(others)),
        importances=importances,
    )


def plain(figure: Any, height: int) -> Plot:
    """Return a figure of Optuna's as JSON, without its title, which is a heading of the page, and in our height."""
    plot: Plot = json.loads(figure.to_json())
    layout = plot["layout"]
    layout.pop("title", None)
    layout.pop("template", None)
    layout["height"] = height
    return plot
