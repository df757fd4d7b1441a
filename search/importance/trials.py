"""The trials of one Optuna study, as importances and figures take them."""

import math
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from ..pages import escaped_text
from ..stores import PLANNED_ATTRIBUTE, compared_study
from ..study import Metric


@contextmanager
def quiet_optuna() -> Generator[None]:
    """Suppress Optuna's warnings and log lines: what they say is said on the page, in its place."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def finite_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the finished trials of a study whose value is a finite number, in their order."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [trial for trial in trials if math.isfinite(value_of(trial))]


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """Return the best finished trial, the first of equals; None where no trial is finished."""
    metric = Metric("value", maximize=study.direction == StudyDirection.MAXIMIZE)
    return metric.best_of(finite_trials(study), value_of)


def value_of(trial: FrozenTrial) -> float:
    """Return the value of a trial; NaN where it has none."""
    return math.nan if trial.value is None else trial.value


def study_of(direction: StudyDirection, trials: Sequence[FrozenTrial]) -> optuna.Study:
    """Return a study in memory of some trials."""
    study = optuna.create_study(direction=direction)
    study.add_trials(trials)
    return study


def escaped_study(study: optuna.Study) -> optuna.Study:
    """Return a copy for drawing, without attributes, which are big.

    Names and choices are escaped: they are other people's text, and plotly draws `<b>` and `<a href>`. Trials keep
    their numbers, which Optuna takes for places: in those of trials that are kept apart stand ones that wait.
    """
    trials = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    apart = create_trial(state=TrialState.WAITING, user_attrs={PLANNED_ATTRIBUTE: -1})
    numbers = range(max(trials, default=-1) + 1)
    copied = [_escaped_trial(trials[number]) if number in trials else apart for number in numbers]
    return study_of(study.direction, copied)


def without_gaps(escaped: optuna.Study) -> optuna.Study:
    """Return an escaped study without what stands in the places of trials that are kept apart."""
    return compared_study(escaped, epochs=0)


def _escaped_trial(trial: FrozenTrial) -> FrozenTrial:
    return FrozenTrial(
        number=trial.number,
        trial_id=trial.number,
        state=trial.state,
        value=None if trial.state == TrialState.FAIL else trial.value,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
        params={escaped_text(name): _escaped_choice(value) for name, value in trial.params.items()},
        distributions={escaped_text(name): _escaped_choices(d) for name, d in trial.distributions.items()},
        user_attrs={},
        system_attrs={},
        intermediate_values=trial.intermediate_values,
    )


def _escaped_choice(value: Any) -> Any:
    return escaped_text(value) if isinstance(value, str) else value


def _escaped_choices(distribution: BaseDistribution) -> BaseDistribution:
    if isinstance(distribution, CategoricalDistribution):
        return CategoricalDistribution([_escaped_choice(choice) for choice in distribution.choices])
    return distribution
