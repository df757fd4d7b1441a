"""What is stored of trials and of families, typed; the words for a trial's state; status and best configurations."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from ..errors import StorageError
from ..study import EpochResult, Family, Study
from .records import FAILURE_RECORD, RUN_RECORD, STUDY, STUDY_RECORD, Kept, epochs_of

End: TypeAlias = Literal["finished", "pruned", "failed"]
ENDS: tuple[End, ...] = get_args(End)
State: TypeAlias = End | Literal["running", "waiting"]

OPTUNA_STATES: dict[State, TrialState] = {
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "running": TrialState.RUNNING,
    "waiting": TrialState.WAITING,
}
"""The words that users read for a trial's state, in the order in which they are listed. Start configurations and
interrupted trials wait."""

STATE_WORDS: dict[TrialState, State] = {state: word for word, state in OPTUNA_STATES.items()}

COPIED_ATTRIBUTES = ("seed", "device", "threads", "best_epoch", "planned_epochs", "patience", "replicate_of", "reason")
"""A trial's user attributes that its record has under the same name."""

REPLICATE_ATTRIBUTE = "replicate_of"
"""A trial's user attribute: the number of an earlier one with the same configuration, under another seed."""


DEATHS_ATTRIBUTE = "deaths"
"""A trial's user attribute: how often its worker died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A trial as it is stored.

    Args:
        number: from 0 on.
        state: how it ended, or where it stands.
        value: the study's metric in the best epoch of a finished trial; None for all others, and where it is not
            finite.
        params: the searched values.
        distributions: what these were drawn from.
        reported: epochs whose metric is stored; those of an interrupted or running trial count.
        epochs: what each epoch measured, by number; of earlier versions, none before the end.
        seed: of its training; None before it starts.
        device: that it was last trained on; None before it starts.
        threads: of torch; None before it starts.
        best_epoch: number of the epoch with the best value; None before the end, and where no value is finite.
        planned_epochs: how many it was to train at most; None before it starts.
        patience: epochs without improvement after which it was to end; None for never.
        replicate_of: number of an earlier trial with the same configuration, under another seed.
        mlflow_run: ID of its run in MLflow; None before it has one.
        reason: why it was pruned or failed; None for the others.
        traceback: of a failure, or what is known of its worker's death; None where nothing failed.
        started: when; None while it waits for the first time.
        ended: when; None while it has not.
    """

    number: int
    state: State
    value: float | None
    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    reported: int
    epochs: tuple[EpochResult, ...]
    seed: int | None
    device: str | None
    threads: int | None
    best_epoch: int | None
    planned_epochs: int | None
    patience: int | None
    replicate_of: int | None
    mlflow_run: str | None
    reason: str | None
    traceback: str | None
    started: datetime | None
    ended: datetime | None

    @property
    def best_result(self) -> EpochResult | None:
        """The best epoch's metrics; None where these are not stored."""
        return next((epoch for epoch in self.epochs if epoch.epoch == self.best_epoch), None)

    @property
    def val_accuracy(self) -> float | None:
        """The accuracy on validation images in the best epoch, also where the study's metric is the loss."""
        return self.best_result and self.best_result.val_accuracy

    @property
    def failure(self) -> str | None:
        """Why it failed; None if it did not."""
        return (self.reason or "unknown") if self.state == "failed" else None

    @property
    def best_metrics(self) -> dict[str, float]:
        """The metrics of the best epoch, and its number as `epoch`; none where no epoch counts."""
        return metrics_of(self.best_result)

    @property
    def seconds(self) -> float:
        """Wall-clock time of its epochs."""
        return sum(epoch.seconds for epoch in self.epochs)


def trial_of(stored: FrozenTrial, kept: Mapping[str, Any] = MappingProxyType({})) -> Trial:
    """Return one of Optuna's trials, and what is kept of it beside, as a typed record."""
    attributes: Mapping[str, Any] = stored.user_attrs
    is_valued = stored.state == TrialState.COMPLETE and stored.value is not None and math.isfinite(stored.value)
    return Trial(
        number=stored.number,
        state=STATE_WORDS[stored.state],
        value=stored.value if is_valued else None,
        params=stored.params,
        distributions=stored.distributions,
        reported=len(stored.intermediate_values),
        # Earlier versions kept all of it in user attributes.
        epochs=tuple(epoch_of(epoch) for epoch in epochs_of(kept) or attributes.get("epochs", ())),
        mlflow_run=kept.get(RUN_RECORD, attributes.get(RUN_RECORD)),
        traceback=kept.get(FAILURE_RECORD),
        started=stored.datetime_start,
        ended=stored.datetime_complete,
        **{name: attributes.get(name) for name in COPIED_ATTRIBUTES},
    )


def metrics_of(kept: EpochResult | None) -> dict[str, float]:
    """Return the metrics of the epoch that counts, and its number as `epoch`; none where no epoch does."""
    return {} if kept is None else {**kept.metrics(), "epoch": kept.epoch}


def epoch_of(stored: Mapping[str, Any]) -> EpochResult:
    """Return an epoch from a trial's attributes or from MLflow's metrics; there is no validation in some."""
    defaults = {field.name: None if field.name.startswith("val_") else math.nan for field in fields(EpochResult)}
    return EpochResult(**{name: stored.get(name, default) for name, default in defaults.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFamily:
    """A family as it is stored: with the study as it was last run with this family, and all of its trials by number.

    `kept` holds what is kept of the family as a whole beside Optuna's tables, by name.
    """

    name: str
    optuna_study: optuna.Study
    study: Study
    trials: tuple[Trial, ...]
    kept: Mapping[str, Any]

    @classmethod
    def read(cls, optuna_study: optuna.Study, kept: Kept = MappingProxyType({})) -> "StoredFamily":
        """Return a family with the trials that Optuna's study has by now, and what is kept beside.

        Raises:
            StorageError: the study was not made by optrack.
        """
        # Earlier versions kept all of it in user attributes.
        of_family = {**optuna_study.user_attrs, **kept.get(STUDY, {})}
        if STUDY_RECORD not in of_family:
            raise StorageError(f"Optuna's study {optuna_study.study_name!r} was not made by optrack")
        return cls(
            name=optuna_study.study_name.split("/", 1)[1],
            optuna_study=optuna_study,
            study=Study.from_json(of_family[STUDY_RECORD]),
            trials=tuple(
                trial_of(trial, kept.get(trial.number, {})) for trial in optuna_study.get_trials(deepcopy=False)
            ),
            kept=of_family,
        )

    @property
    def family(self) -> Family:
        """Its definition in the study."""
        return next(family for family in self.study.families if family.name == self.name)

    @property
    def is_begun(self) -> bool:
        """Whether there is anything to compare new trials with: one that ended, or was to go on."""
        return any(trial.state != "failed" and (trial.state != "waiting" or trial.reported) for trial in self.trials)

    @property
    def counts(self) -> dict[State, int]:
        """How many trials are in each state."""
        return {state: sum(trial.state == state for trial in self.trials) for state in OPTUNA_STATES}

    @property
    def ended(self) -> list[Trial]:
        """The trials that finished, were pruned or failed."""
        return [trial for trial in self.trials if trial.state in ENDS]

    @property
    def in_order(self) -> list[Trial]:
        """The trials that have ended, in the order in which they did."""
        return sorted(self.ended, key=lambda trial: trial.ended or datetime.max)  # noqa: DTZ901 - Optuna's have no zone

    @property
    def ranked(self) -> list[Trial]:
        """The finished trials with a finite value, the best first; equals by number."""
        return self.study.objective.ranked(self.trials, lambda trial: trial.value)

    @property
    def best(self) -> Trial | None:
        """The finished trial with the best value, the first of equals; None where there is none."""
        return next(iter(self.ranked), None)

    @property
    def epochs(self) -> int:
        """The epochs of all trials."""
        return sum(trial.reported for trial in self.trials)

    @property
    def seconds(self) -> float:
        """The wall-clock time of all trials that have ended, added up over the workers."""
        return sum(trial.seconds for trial in self.trials)


def status(study: str, families: Sequence[StoredFamily]) -> dict[str, Any]:
    """Return what `optrack status --json` prints; the total is that of all states, waiting trials included."""
    return {
        "study": study,
        "families": [
            {
                "family": family.name,
                "trials": {"total": len(family.trials), **family.counts},
                "epochs": family.epochs,
                "best": None if family.best is None else _summary(family.best),
            }
            for family in families
        ],
    }


def best(study: str, families: Sequence[StoredFamily]) -> dict[str, Any]:
    """Return the best configuration of each family with a finished trial, as `optrack best --json` prints it."""
    return {
        "study": study,
        "metric": families[0].study.metric,
        "families": [
            {"family": family.name, **_summary(trial), "mlflow_run": trial.mlflow_run}
            for family in families
            if (trial := family.best) is not None
        ],
    }


def _summary(trial: Trial) -> dict[str, Any]:
    return {"trial": trial.number, "value": trial.value, "epoch": trial.best_epoch, "params": trial.params}
