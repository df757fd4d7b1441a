"""Trials made fit for drawing: plotly draws `<b>` and `<a href>`, and names and choices are other people's text."""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def escaped_text(name: str) -> str:
    """A text in which nothing is markup."""
    return html.escape(name, quote=False)


def study_of(direction: StudyDirection, trials: Sequence[FrozenTrial]) -> optuna.Study:
    """A study in memory of some trials."""
    study = optuna.create_study(direction=direction)
    study.add_trials(trials)
    return study


def escaped_trial(trial: FrozenTrial) -> FrozenTrial:
    """A copy for drawing: no string is markup (plotly draws `<b>` and `<a href>`), and no attributes, which are big."""
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


def _escaped_choices(distribution: "BaseDistribution") -> "BaseDistribution":
    if isinstance(distribution, CategoricalDistribution):
        return CategoricalDistribution([_escaped_choice(choice) for choice in distribution.choices])
    return distribution
