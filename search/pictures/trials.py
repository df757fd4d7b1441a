"""The trials of a family as figures want them: what each cost, and what it found."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from ..stores.optuna_store import StoredFamily
from ..study.metric import Metric

State = Literal["finished", "pruned", "failed", "running", "waiting"]
STATES: tuple[State, ...] = ("finished", "pruned", "failed", "running", "waiting")

_WORDS: dict[str, State] = {
    "COMPLETE": "finished",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial.

    Args:
        number: from 0 on.
        state: how it ended, or where it stands.
        value: the study's metric in the best epoch of a finished trial; None for all others, and where it is no finite
            number.
        params: the searched values.
        epochs: how many were trained.
        seconds: wall-clock time of these; 0 while it runs, as the times are stored at its end.
        ended: when; None while it has not.
    """

    number: int
    state: State
    value: float | None
    params: Mapping[str, Any]
    epochs: int
    seconds: float
    ended: datetime | None

    @property
    def has_ended(self) -> bool:
        """Whether it finished, was pruned or failed."""
        return self.state in STATES[:3]


def trials_of(family: StoredFamily) -> tuple[Trial, ...]:
    """The trials of a family by number."""
    found: list[Trial] = []
    for trial in family.trials:
        state = _WORDS[trial.state.name]
        epochs = _stored_epochs(trial.user_attrs)
        valued = state == "finished" and trial.value is not None and math.isfinite(trial.value)
        found.append(
            Trial(
                number=trial.number,
                state=state,
                value=trial.value if valued else None,
                params=trial.params,
                epochs=len(epochs) or len(trial.intermediate_values),
                seconds=sum(float(epoch.get("seconds") or 0.0) for epoch in epochs),
                ended=trial.datetime_complete,
            )
        )
    return tuple(found)


def top_trials(trials: tuple[Trial, ...], count: int, metric: Metric) -> list[Trial]:
    """The best finished trials, the best first; of equals the earlier one."""
    return metric.ranked(trials, lambda trial: trial.value)[:count]


def _stored_epochs(attributes: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    epochs = attributes.get("epochs")
    return cast("list[Mapping[str, Any]]", epochs) if isinstance(epochs, list) else []
