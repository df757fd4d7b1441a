"""Where runs are recorded: what the search, retraining, the test and the report need of it, and no more.

`mlflow_store` and the mirror's tracker keep runs in MLflow; `memory_store` keeps them in this process, for tests.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

from ..study import EPOCH_METRICS
from . import mlflow_names as names
from .model_runs import FamilyRun, ModelRun, Stage

RunState = Literal["running", "finished", "pruned", "failed", "interrupted"]

MLFLOW_STATUS: dict[RunState, str] = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "pruned": "FINISHED",  # it did what it was meant to do; the tag tells it from one that ran to its end
    "failed": "FAILED",
    "interrupted": "KILLED",
}
"""MLflow's words for a run's state."""

Params = Mapping[str, object]
Tags = Mapping[str, str]
Metrics = Mapping[str, float]
NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContent:
    """What is recorded of a run.

    Args:
        params: its configuration, as text.
        tags: all of them.
        metrics: last values.
        epochs: what each epoch measured.
        status: in MLflow's word, which may be another one than the tag's where a process died between the two.
    """

    params: Mapping[str, str]
    tags: Tags
    metrics: Metrics
    epochs: Mapping[int, Metrics]
    status: str


class RunStore(Protocol):
    """Reads the runs of one study, and adds to them."""

    def recorded(self, tags: Tags) -> list[tuple[str, Tags, Metrics]]:
        """Return ID, tags and last metrics of the runs with these tags, the oldest first."""
        ...

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        """Return all steps and values of a metric."""
        ...

    def content(self, run_id: str) -> RunContent:
        """Return all that is recorded of a run, without its artifacts."""
        ...

    def artifacts(self, run_id: str, folder: str = "") -> list[str]:
        """Return the paths in a folder of a run's artifacts, or at their top; none where there is no such folder."""
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

    def log_epochs(self, run_id: str, epochs: Mapping[int, Metrics]) -> None:
        """Add the metrics of epochs to a run."""
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

    def epochs(self, run_id: str, metrics: Iterable[str]) -> dict[int, dict[str, float]]:
        """Return what each epoch of a run measured, by name, where these are the names of all its metrics."""
        by_epoch: dict[int, dict[str, float]] = {}
        for name in EPOCH_METRICS:
            for epoch, value in self.history(run_id, name) if name in metrics else ():
                by_epoch.setdefault(epoch, {})[name] = value
        return {epoch: by_epoch[epoch] for epoch in sorted(by_epoch)}

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
    """Records one study: a run for each family, and under it one for each of its trials and models."""

    def create_run(self, name: str, tags: Tags, *, started: datetime | None = None) -> str:
        """Return the ID of a new run that is running, since then or now."""
        ...

    def describe_run(self, run_id: str, params: Params) -> None:
        """Add what never changes of a run: the images, and then its configuration; where this stands, so do they."""
        ...

    def set_status(self, run_id: str, state: RunState, *, ended: datetime | None = None) -> None:
        """Note that a run is running again or over, since then or now, where that is kept apart from its tags."""
        ...

    def delete_run(self, run_id: str) -> None:
        """Move a run to MLflow's trash, from where `mlflow runs restore` brings it back."""
        ...

    def open_model(self, parent: str, name: str, *, known_run: str | None, params: Params, tags: Tags) -> str:
        """Return the ID of the run of a training outside the search, running; an interrupted one goes on in its run."""
        tags = {**tags, names.PARENT_TAG: parent, names.STATE_TAG: "running"}
        if known_run is None:
            # All tags at once: whoever finds the run of a process that died just then must know what it is.
            run_id = self.create_run(name, tags)
            self.describe_run(run_id, params)
            return run_id
        if not self.content(known_run).params:  # the process ended, or MLflow went away, right after it was made
            self.describe_run(known_run, params)
        self.set_status(known_run, "running")
        self.log(known_run, tags=tags)
        return known_run

    def close_run(self, run_id: str, state: RunState, *, metrics: Metrics = NONE, reason: str | None = None) -> None:
        """End a run with its state.

        Args:
            run_id: of a model.
            state: how it ended.
            metrics: of the best epoch, so that MLflow's table, which shows last values, has the best ones.
            reason: why, where that is not plain.
        """
        # The tag comes last: a run with it is complete.
        self.set_status(run_id, state)
        self.log(run_id, tags=end_tags(state, reason), metrics=best_metrics(metrics), step=int(metrics.get("epoch", 0)))


def end_tags(state: RunState, reason: str | None) -> dict[str, str]:
    """Return the tags that say how a run ended."""
    return {names.STATE_TAG: state, **({names.REASON_TAG: reason[: names.TEXT_LIMIT]} if reason else {})}


def best_metrics(metrics: Metrics) -> dict[str, float]:
    """Return metrics of the best epoch under their names in a run."""
    return {f"{names.BEST}/{name}": value for name, value in metrics.items()}
