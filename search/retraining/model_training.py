"""Trainings outside of the search: carried to workers, recorded in MLflow, taken up again after an interruption."""

import hashlib
import json
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from ..coordinator.coordinator import POLL_SECONDS
from ..launchers import EpochEnded, Event, JobEnded, JobFailed, Launcher
from ..stores import mlflow_names as names
from ..stores.candidates import Candidate
from ..stores.model_runs import ModelRun, Stage
from ..stores.tracking import RunState, Tracker
from ..training import EpochResult, Job, best_epoch

UNFINISHED = {"running", "interrupted"}
"""States of runs that go on where they stopped; whoever owns the study knows that no running one is alive."""


@dataclass(slots=True, kw_only=True)
class ModelTraining:
    """One training outside of the search, planned or under way.

    Args:
        stage: what for.
        candidate: the configuration.
        number: which seed, from 1 on.
        job: the training itself.
        run_id: of its MLflow run, once it has begun.
        logged: last epoch that an interrupted attempt has recorded.
        epochs: results so far.
        reason: why it failed.
    """

    stage: Stage
    candidate: Candidate
    number: int
    job: Job
    run_id: str = ""
    logged: int = 0
    epochs: list[EpochResult] = field(default_factory=list[EpochResult])
    reason: str | None = None

    @property
    def name(self) -> str:
        """What people see of it."""
        what = f"trial {self.candidate.trial} again" if self.stage == "confirm" else "retrained"
        return f"{self.candidate.family}, {what}, seed {self.number}"

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells trainings apart; the configurations of a race share their seeds."""
        return (*self.job.key, self.job.seed)

    @property
    def best_epoch(self) -> EpochResult | None:
        """The epoch with the best metric, of a training that validates; None where no value is a number."""
        return best_epoch(self.epochs, self.job.metric)

    @property
    def value(self) -> float | None:
        """The best epoch's metric; None where nothing validates, or no value is a number."""
        return self.best_epoch and self.best_epoch.metrics()[self.job.metric]

    @property
    def digest(self) -> str:
        """What the result depends on, but for the rounding of another number of threads."""
        content = {
            "stage": self.stage,
            "architecture": self.job.architecture,
            **({} if self.job.source is None else {"source": self.job.source}),
            "model": dict(self.job.model),
            "training": asdict(self.job.training),
            "data": [self.job.data.digest, self.job.data.split_digest],
            "epochs": self.job.epochs,
            "patience": self.job.patience,
            "metric": self.job.metric,
            "seed": self.job.seed,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class TrainingObserver(Protocol):
    """Who watches: a progress display, a test."""

    def trainings_planned(self, stage: Stage, waiting: Sequence[ModelTraining], done: int) -> None:
        """These are going to be trained, so many are there already."""
        ...

    def training_started(self, training: ModelTraining) -> None:
        """A job has gone to a worker."""
        ...

    def training_epoch_ended(self, training: ModelTraining) -> None:
        """An epoch is recorded."""
        ...

    def training_ended(self, training: ModelTraining, state: RunState) -> None:
        """A training is recorded with its end state."""
        ...


class ModelTrainer:
    """Trains what is planned, on all workers, and writes MLflow's runs meanwhile.

    Args:
        tracker: writes the runs.
        launcher: carries jobs to workers.
        parents: run ID of each family.
        weights: folder for weights under way, emptied at the end.
        observer: who watches.
    """

    def __init__(
        self,
        *,
        tracker: Tracker,
        launcher: Launcher,
        parents: Mapping[str, str],
        weights: Path,
        observer: TrainingObserver,
    ) -> None:
        self._tracker = tracker
        self._launcher = launcher
        self._parents = parents
        self._weights = weights
        self._observer = observer
        self._running: dict[tuple[str, int, int], ModelTraining] = {}
        self.stop_requested = False
        self.failed = 0

    def train(
        self,
        planned: Sequence[ModelTraining],
        *,
        known: Sequence[ModelRun],
        keep: Callable[[ModelTraining], None] = lambda _: None,
    ) -> None:
        """Train what is not there yet, until it is there or a stop is requested.

        Args:
            planned: all of one stage.
            known: the runs of that stage; finished ones are not trained again.
            keep: called when a training has ended well, before its run is closed; the weights' file is still there.
        """
        runs = {run.training: run for run in known}
        for training in planned:
            before = runs.get(training.digest)
            if before is not None and before.trial != training.candidate.trial:
                # A replicate of that trial is the candidate now; what its configuration has trained is its own.
                now = _tags(training)
                self._tracker.log(before.run_id, tags={name: now[name] for name in (names.TRIAL_TAG, names.VALUE_TAG)})
        waiting = deque(item for item in planned if item.digest not in runs or runs[item.digest].state != "finished")
        if planned:
            self._observer.trainings_planned(planned[0].stage, tuple(waiting), len(planned) - len(waiting))
        while (waiting or self._running) and not self.stop_requested:
            while waiting and len(self._running) < len(self._launcher.devices):
                training = waiting.popleft()
                self._start(training, runs.get(training.digest))
            event = self._launcher.next_event(POLL_SECONDS)
            if event is not None:
                self._handle(event, keep)

    def close(self) -> None:
        """Workers end, and no run of MLflow is left running."""
        self._launcher.close()
        for training in self._running.values():
            self._tracker.close_run(training.run_id, "interrupted")
        shutil.rmtree(self._weights, ignore_errors=True)

    def _start(self, training: ModelTraining, before: ModelRun | None) -> None:
        unfinished = before if before is not None and before.state in UNFINISHED else None
        free = list(self._launcher.devices)
        for running in self._running.values():
            free.remove(running.job.device)
        training.job = replace(
            training.job,
            device=free[0],
            # The recorded epochs of an interrupted run were trained with as many.
            threads=(unfinished and unfinished.threads) or self._launcher.threads,
            weights=self._weights / f"{training.digest}.safetensors",
        )
        training.run_id = self._tracker.open_model(
            self._parents[training.candidate.family],
            training.name,
            known_run=unfinished and unfinished.run_id,
            params={"architecture": training.candidate.architecture, **training.candidate.settings},
            tags=_tags(training),
        )
        training.logged = self._tracker.logged_epochs(training.run_id) if unfinished else 0
        self._running[training.key] = training
        self._launcher.submit(training.job)
        self._observer.training_started(training)

    def _handle(self, event: Event, keep: Callable[[ModelTraining], None]) -> None:
        training = self._running[(*event.job.key, event.job.seed)]
        match event:
            case EpochEnded():
                self._record_epoch(training, event.result)
            case JobFailed():
                self._fail(training, event.reason, event.details)
            case JobEnded() if not training.epochs[-1].finite and training.best_epoch is None:
                reason = f"diverged in epoch {training.epochs[-1].epoch}: the loss is no finite number"
                self._fail(training, reason, reason)
            case JobEnded():
                keep(training)
                self._put_away(training, "finished")

    def _record_epoch(self, training: ModelTraining, result: EpochResult) -> None:
        self._launcher.answer(training.job, go_on=True)
        training.epochs.append(result)
        if result.epoch > training.logged:
            self._tracker.log_epoch(training.run_id, result.epoch, result.metrics())
        self._observer.training_epoch_ended(training)

    def _fail(self, training: ModelTraining, reason: str, details: str) -> None:
        self.failed += 1
        training.reason = reason
        self._tracker.log_file(training.run_id, names.FAILURE_FILE, details)
        self._put_away(training, "failed")

    def _put_away(self, training: ModelTraining, state: RunState) -> None:
        del self._running[training.key]
        if training.job.weights is not None:
            training.job.weights.unlink(missing_ok=True)
        kept = (training.best_epoch or training.epochs[-1]) if state == "finished" else None
        metrics = {} if kept is None else {**kept.metrics(), "epoch": kept.epoch}
        self._tracker.close_run(training.run_id, state, metrics=metrics, reason=training.reason)
        self._observer.training_ended(training, state)


def _tags(training: ModelTraining) -> dict[str, str]:
    return {
        names.STAGE_TAG: training.stage,
        names.FAMILY_TAG: training.candidate.family,
        names.TRIAL_TAG: str(training.candidate.trial),
        names.VALUE_TAG: repr(training.candidate.value),
        names.NUMBER_TAG: str(training.number),
        names.TRAINING_TAG: training.digest,
        names.SEED_TAG: str(training.job.seed),
        names.DEVICE_TAG: training.job.device,
        names.THREADS_TAG: str(training.job.threads),
    }
