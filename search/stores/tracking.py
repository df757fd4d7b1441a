"""Where runs are recorded: what the search, retraining, the test and the report need of it, and no more.

`mlflow_store` and `mlflow_tracker` keep runs in MLflow; `memory_store` keeps them in this process, for tests.
"""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

from ..study.metric import EPOCH_METRICS
from ..study.study import Family
from . import mlflow_names as names
from .model_runs import FamilyRun, ModelRun, Stage

RunState = Literal["running", "finished", "pruned", "failed", "interrupted"]

Params = Mapping[str, object]
Tags = Mapping[str, str]
Metrics = Mapping[str, float]
NONE: Mapping[str, Any] = MappingProxyType({})


class RunStore(Protocol):
    """Reads the runs of one study, and adds to them."""

    def recorded(self, tags: Tags, *, running: bool = False) -> list[tuple[str, Tags, Metrics]]:
        """Return ID, tags and last metrics of the runs with these tags, the oldest first; or of the running ones."""
        ...

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        """Return all steps and values of a metric."""
        ...

    def artifacts(self, run_id: str, folder: str) -> list[str]:
        """Return the paths in a folder of a run's artifacts; none where there is no such folder."""
        ...

    def fetched(self, run_id: str, name: str) -> AbstractContextManager[Path]:
        """Have an artifact, file or folder, on this machine until the block ends.

        Raises:
            TrackingError: it is not there.
        """
        ...

    def log(
        self, run_id: str, *, params: Params = NONE, tags: Tags = NONE, metrics: Metrics = NONE, step: int = 0
    ) -> None:
        """Add to a run, and return when all of it is stored; tags replace earlier ones, parameters never change."""
        ...

    def log_file(self, run_id: str, file: str, content: str | bytes | Path) -> None:
        """Write content, or a file of the same name, to a path among a run's artifacts; what was there is replaced."""
        ...

    def log_folder(self, run_id: str, folder: Path, name: str) -> None:
        """Copy a folder to a run's artifacts, under this name."""
        ...

    def families(self) -> dict[str, FamilyRun]:
        """Return the run of each family, by name."""
        found = self.recorded({names.STAGE_TAG: names.FAMILY_STAGE})
        return {tags[names.FAMILY_TAG]: FamilyRun.of(run_id, tags) for run_id, tags, _ in found}

    def find(self, stage: Stage) -> list[ModelRun]:
        """Return all runs of a stage, the oldest first."""
        return [ModelRun.of(*run) for run in self.recorded({names.STAGE_TAG: stage})]

    def epochs(self, run: ModelRun) -> tuple[Metrics, ...]:
        """Return the metrics of each epoch by name, and its number as `epoch`."""
        by_epoch: dict[int, dict[str, float]] = {}
        for name in EPOCH_METRICS:
            for epoch, value in self.history(run.run_id, name) if name in run.metrics else ():
                by_epoch.setdefault(epoch, {"epoch": epoch})[name] = value
        return tuple(by_epoch[epoch] for epoch in sorted(by_epoch))

    def logged_epochs(self, run_id: str) -> int:
        """Return how many epochs of a run are recorded already."""
        return max((epoch for epoch, _ in self.history(run_id, "train_loss")), default=0)

    def read(self, run_id: str, file: str) -> bytes:
        """Return the content of a file among a run's artifacts.

        Raises:
            TrackingError: it is not there.
        """
        with self.fetched(run_id, file) as path:
            return path.read_bytes()


class Tracker(RunStore, Protocol):
    """Records one study: a run for each family, and under it one for each of its trials and models.

    Which run a trial goes on in, and what stands in its tags, is decided here; a subclass knows how it is stored.
    """

    left: dict[tuple[str, int], str]
    """Runs of trials by family and number, whose process died before Optuna heard of them."""

    def create_run(self, name: str, tags: Tags) -> str:
        """Return the ID of a new run that is running."""
        ...

    def describe_run(self, run_id: str, params: Params) -> None:
        """Add what never changes of a run: its configuration, and the images."""
        ...

    def set_status(self, run_id: str, state: RunState) -> None:
        """Note that a run is running again or over, where that is kept apart from its tags."""
        ...

    def open_family(self, family: Family) -> str:
        """Return the ID of a family's run, made where there is none; it is running from now on."""
        own = {names.STAGE_TAG: names.FAMILY_STAGE, names.FAMILY_TAG: family.name}
        found = self.recorded(own)
        known_run = found[-1][0] if found else None
        if known_run is not None:
            trials = {names.PARENT_TAG: known_run, names.STAGE_TAG: names.SEARCH_STAGE}
            for run_id, tags, _ in self.recorded(trials, running=True):
                self.left[family.name, int(tags[names.TRIAL_TAG])] = run_id
        return self._open_run(family.name, known_run, {"architecture": family.architecture}, own)

    def open_trial(
        self, parent: str, family: Family, trial: int, *, known_run: str | None, params: Params, tags: Tags
    ) -> str:
        """Return the ID of a trial's run under its family's; an interrupted trial goes on in the known run."""
        own = {
            names.PARENT_TAG: parent,
            names.STAGE_TAG: names.SEARCH_STAGE,
            names.FAMILY_TAG: family.name,
            names.TRIAL_TAG: str(trial),
        }
        left = self.left.pop((family.name, trial), None)
        if known_run is None and left is not None:
            self.describe_run(left, params)  # its process may have died before that
        return self._open_run(f"{family.name} {trial}", known_run or left, params, {**own, **tags})

    def open_model(self, parent: str, name: str, *, known_run: str | None, params: Params, tags: Tags) -> str:
        """Return the ID of the run of a training outside the search; an interrupted one goes on in the known run."""
        return self._open_run(name, known_run, params, {names.PARENT_TAG: parent, **tags})

    def log_epoch(self, run_id: str, epoch: int, metrics: Metrics) -> None:
        """Add one epoch's metrics to a run."""
        self.log(run_id, metrics=metrics, step=epoch)

    def log_best(
        self, family_run: str, *, weights: Path | None, configuration: Mapping[str, Any], metrics: Metrics
    ) -> None:
        """Replace the family's best trial: weights and configuration as artifacts, metrics of its best epoch."""
        if weights is not None:
            self.log_file(family_run, f"{names.BEST}/{weights.name}", weights)
        self.log_file(family_run, names.CONFIGURATION_FILE, json.dumps(configuration, indent=2))
        self.log(family_run, tags={names.BEST_TRIAL_TAG: str(configuration["trial"])}, metrics=_best(metrics))

    def close_run(self, run_id: str, state: RunState, *, metrics: Metrics = NONE, reason: str | None = None) -> None:
        """End a run with its state.

        Args:
            run_id: of a trial, a model or a family.
            state: how it ended.
            metrics: of the best epoch, so that MLflow's table, which shows last values, has the best ones.
            reason: why, where that is not plain.
        """
        tags = {names.STATE_TAG: state, **({names.REASON_TAG: reason[: names.TEXT_LIMIT]} if reason else {})}
        self.log(run_id, tags=tags, metrics=_best(metrics), step=int(metrics.get("epoch", 0)))
        self.set_status(run_id, state)

    def _open_run(self, name: str, known_run: str | None, params: Params, tags: Tags) -> str:
        """Return a run that is running: the known one, which keeps its configuration, or a new one."""
        tags = {**tags, names.STATE_TAG: "running"}
        if known_run is None:
            # All tags at once: whoever finds the run of a process that died just then must know what it is.
            run_id = self.create_run(name, tags)
            self.describe_run(run_id, params)
            return run_id
        self.set_status(known_run, "running")
        self.log(known_run, tags=tags)
        return known_run


def _best(metrics: Metrics) -> dict[str, float]:
    return {f"{names.BEST}/{name}": value for name, value in metrics.items()}
