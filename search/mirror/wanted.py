"""What a trial's run in MLflow should hold, made of what Optuna's storage holds."""

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..stores import ID_RECORD, RunContent, RunState, StoredFamily, Trial, best_metrics, end_tags, is_compared
from ..stores import mlflow_names as names
from ..text import plural

Metrics = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedRun:
    """What a trial's run should hold.

    Args:
        state: of the trial, in MLflow's words.
        params: its configuration.
        tags: among them a digest of all of it, unless it is running.
        epochs: what each epoch measured, by number.
        best: metrics of the best epoch, under their names in a run; none where no epoch counts.
        failure: a traceback.
        started: when.
        ended: when; None while it has not.
    """

    state: RunState
    params: Mapping[str, str]
    tags: Mapping[str, str]
    epochs: Mapping[int, Metrics]
    best: Metrics
    failure: str | None
    started: datetime | None
    ended: datetime | None

    @classmethod
    def of(cls, stored: StoredFamily, trial: Trial, *, alive: bool) -> "WantedRun | None":
        """Return the run of a trial, which is interrupted unless it is alive; None for one that never began."""
        state = _state(trial, alive=alive)
        if state is None:
            return None
        is_over = state == trial.state != "running"
        settings: dict[str, Any] = {"architecture": stored.family.architecture, **stored.family.options, **trial.params}
        run = cls(
            state=state,
            params={name: str(value)[: names.TEXT_LIMIT] for name, value in settings.items()},
            tags=_tags(stored, trial) | end_tags(state, trial.reason if is_over else None),
            epochs={epoch.epoch: epoch.metrics() for epoch in trial.epochs},
            best=best_metrics(trial.best_metrics) if is_over else {},
            failure=trial.traceback,
            started=trial.started,
            ended=trial.ended if is_over else None,
        )
        if state == "running":
            return run
        content = [run.params, run.tags, run.epochs, run.best, run.failure]
        return replace(run, tags={**run.tags, names.MIRRORED_TAG: digest_of(content)})

    def contradicts(self, found: RunContent) -> bool:
        """Whether a run tells of another training: other parameters, another seed, other values of an epoch."""
        seed = found.tags.get(names.SEED_TAG)
        return (
            any(found.params.get(name, value) != value for name, value in self.params.items())
            or seed not in (None, self.tags.get(names.SEED_TAG))
            or any(not _equal(self.epochs[epoch], found.epochs[epoch]) for epoch in self.epochs.keys() & found.epochs)
            or (self.ended is not None and not found.epochs.keys() <= self.epochs.keys())
        )


def digest_of(content: Any) -> str:
    """Return a digest of JSON values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _state(trial: Trial, *, alive: bool) -> RunState | None:
    match trial.state:
        case "running" if alive:
            return "running"
        case "waiting" if trial.seed is None:
            return None
        case "running" | "waiting":
            return "interrupted"
        case ended:
            return ended


def _tags(stored: StoredFamily, trial: Trial) -> dict[str, str]:
    told = {
        names.APART_TAG: _apart(stored, trial),
        names.SEED_TAG: trial.seed,
        names.DEVICE_TAG: trial.device,
        names.THREADS_TAG: trial.threads,
        names.REPLICATE_TAG: trial.replicate_of,
    }
    return {
        names.SEARCH_ID_TAG: stored.kept[ID_RECORD],
        names.STAGE_TAG: names.SEARCH_STAGE,
        names.FAMILY_TAG: stored.name,
        names.TRIAL_TAG: str(trial.number),
        **{name: str(value) for name, value in told.items() if value is not None},
    }


def _apart(stored: StoredFamily, trial: Trial) -> str | None:
    """Say why a trial is kept out of the comparison; None where it is compared."""
    if stored.is_removed:
        return "the study has no such family any more"
    planned, epochs = trial.planned_epochs, stored.study.budget.epochs
    if planned is None or is_compared(planned, epochs):
        return None
    return f"{plural(planned, 'epoch')}, and the study has {epochs}"


def _equal(stored: Metrics, recorded: Metrics) -> bool:
    """Whether two records of an epoch agree in all that both have; the time may differ where it was repeated."""
    of_both = (stored.keys() & recorded.keys()) - {"seconds"}
    return all(same(stored[name], recorded[name]) for name in of_both)


def same(value: float, recorded: float | None) -> bool:
    """Whether MLflow has a value, which it keeps without infinities."""
    if recorded is None or math.isnan(value) or math.isnan(recorded):
        return recorded is not None and math.isnan(value) and math.isnan(recorded)
    limit = sys.float_info.max
    return max(-limit, min(limit, value)) == max(-limit, min(limit, recorded))
