"""What is stored of trials and of families, typed; the words for a trial's state; status and best configurations."""

import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, cast, get_args

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from ..errors import StorageError
from ..study import DIVERGED, EpochResult, Family, Study
from ..text import listing, plural
from .records import FAILURE_RECORD, MEMBERS_RECORD, RUN_RECORD, STUDY, STUDY_RECORD, Kept, epochs_of

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

PLANNED_ATTRIBUTE = "planned_epochs"
"""A trial's user attribute: how many epochs it was to train at most, and its schedule was made for."""


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
        best_epoch: number of the epoch with the best value; None before the end, and where no loss is finite.
        planned_epochs: how many it was to train at most; None before it starts.
        patience: epochs without improvement after which it was to end; None for never.
        replicate_of: number of an earlier trial with the same configuration, under another seed.
        mlflow_run: ID of its run in MLflow; None before it has one.
        reason: why it was pruned or failed, or how it diverged after its best epoch; None for the others.
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
    def has_diverged(self) -> bool:
        """Whether it ended without a value, as its loss was not finite."""
        return self.state == "pruned" and (self.reason or "").startswith(DIVERGED)

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


class _ComparedStorage:
    """Optuna's storage without the trials that are kept apart.

    Samplers and pruners look at some trials through their study and at some through its storage.
    """

    def __init__(self, storage: Any, epochs: int) -> None:
        self._storage = storage
        self._epochs = epochs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,  # noqa: FBT001, FBT002 - Optuna's form
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the trials that are compared."""
        trials: list[FrozenTrial] = self._storage.get_all_trials(study_id, deepcopy=deepcopy, states=states)
        return [trial for trial in trials if is_compared(trial.user_attrs.get(PLANNED_ATTRIBUTE), self._epochs)]

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the best of them, as Optuna does of all."""
        return BaseStorage.get_best_trial(cast("BaseStorage", self), study_id)


def is_compared(planned: int | None, epochs: int) -> bool:
    """Whether a trial that was to train so many epochs counts in a study of so many.

    A schedule of another length makes another curve. Trials that have not begun, and those of which earlier versions
    did not note it, are compared.
    """
    return planned in (None, epochs)


def compared_study(study: optuna.Study, epochs: int) -> optuna.Study:
    """Return an Optuna study as samplers, pruners and importances are to see it: with the trials that are compared."""
    storage: Any = _ComparedStorage(study._storage, epochs)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return optuna.load_study(study_name=study.study_name, storage=storage)


def metrics_of(kept: EpochResult | None) -> dict[str, float]:
    """Return the metrics of the epoch that counts, and its number as `epoch`; none where no epoch does."""
    return {} if kept is None else {**kept.metrics(), "epoch": kept.epoch}


def epoch_of(stored: Mapping[str, Any]) -> EpochResult:
    """Return an epoch from a trial's attributes or from MLflow's metrics; there is no validation in some."""
    defaults = {field.name: None if field.name.startswith("val_") else math.nan for field in fields(EpochResult)}
    return EpochResult(**{name: stored.get(name, default) for name, default in defaults.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFamily:
    """A family as it is stored.

    Args:
        name: of the family.
        optuna_study: with the trials that are compared.
        study: as it was last run with this family.
        trials: those that are compared, by number: all that were to train as many epochs as the study has now.
        kept: what is kept of the family as a whole beside Optuna's tables, by name.
        apart: all other trials, by number.
    """

    name: str
    optuna_study: optuna.Study
    study: Study
    trials: tuple[Trial, ...]
    kept: Mapping[str, Any]
    apart: tuple[Trial, ...] = ()

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
        study = Study.from_json(of_family[STUDY_RECORD])
        epochs = study.budget.epochs
        trials = [trial_of(trial, kept.get(trial.number, {})) for trial in optuna_study.get_trials(deepcopy=False)]
        return cls(
            name=optuna_study.study_name.split("/", 1)[1],
            optuna_study=compared_study(optuna_study, epochs),
            study=study,
            trials=tuple(trial for trial in trials if is_compared(trial.planned_epochs, epochs)),
            kept=of_family,
            apart=tuple(trial for trial in trials if not is_compared(trial.planned_epochs, epochs)),
        )

    @property
    def family(self) -> Family:
        """Its definition in the study."""
        return next(family for family in self.study.families if family.name == self.name)

    @property
    def is_removed(self) -> bool:
        """Whether the study had no such family any more when it was last run."""
        return self.name not in self.kept.get(MEMBERS_RECORD, [self.name])

    @property
    def all_trials(self) -> tuple[Trial, ...]:
        """All of its trials by number, compared or not."""
        return tuple(sorted((*self.trials, *self.apart), key=lambda trial: trial.number))

    @property
    def apart_text(self) -> str:
        """How many trials are kept apart, such as "8 trials of 2 epochs"; empty where none is."""
        return lengths_text([trial.planned_epochs or 0 for trial in self.apart])

    @property
    def is_begun(self) -> bool:
        """Whether there is anything to compare new trials with: one that ended, or was to go on."""
        trials = (*self.trials, *self.apart)
        return any(trial.state != "failed" and (trial.state != "waiting" or trial.reported) for trial in trials)

    @property
    def counts(self) -> dict[State, int]:
        """How many trials are in each state."""
        return {state: sum(trial.state == state for trial in self.trials) for state in OPTUNA_STATES}

    @property
    def ended(self) -> list[Trial]:
        """The trials that finished, were pruned or failed."""
        return [trial for trial in self.trials if trial.state in ENDS]

    @property
    def all_diverged(self) -> bool:
        """Whether trials have ended, and each because its loss was not finite."""
        return bool(self.ended) and all(trial.has_diverged for trial in self.ended)

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
    def best_apart(self) -> list[int]:
        """The numbers of the best trials that are kept apart, one for each number of epochs."""
        ranked = self.study.objective.ranked(self.apart, lambda trial: trial.value)
        best = {trial.planned_epochs: trial.number for trial in reversed(ranked)}
        return sorted(best.values())

    @property
    def epochs(self) -> int:
        """The epochs of all trials that are compared."""
        return sum(trial.reported for trial in self.trials)

    @property
    def seconds(self) -> float:
        """The wall-clock time of all trials that are compared, added up over the workers."""
        return sum(trial.seconds for trial in self.trials)


def lengths_text(planned: Sequence[int]) -> str:
    """Return how many trials were to train how many epochs.

    >>> lengths_text([2, 2, 5]), lengths_text([1]), lengths_text([])
    ('2 trials of 2 epochs and 1 trial of 5 epochs', '1 trial of 1 epoch', '')
    """
    counts = sorted(Counter(planned).items())
    return listing([f"{plural(count, 'trial')} of {plural(epochs, 'epoch')}" for epochs, count in counts])


def status(study: str, families: Sequence[StoredFamily]) -> dict[str, Any]:
    """Return what `optrack status --json` prints; the total is that of all states, waiting trials included.

    Trials that are kept apart count in `apart` alone.
    """
    return {
        "study": study,
        "families": [
            {
                "family": family.name,
                "trials": {"total": len(family.trials), **family.counts},
                "apart": len(family.apart),
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
