"""What a search and a retraining share: jobs on all workers, and their epochs noted."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic

from ...sources import DISK_FULL
from ..errors import StorageFailedError
from ..launchers import Launcher, Outcome, Pool, WorkerDied, WorkT
from ..study import EpochResult
from ..training import Job
from .observer import Observer

MOST_DEATHS = 2
"""How often a job may lose its worker and be queued again; one that kills each of its workers must have an end."""


@dataclass(kw_only=True)
class Recording(ABC, Generic[WorkT]):
    """Keeps the workers busy, and notes what they report; in `weights` the files of interrupted jobs stay."""

    launcher: Launcher
    weights: Path
    observer: Observer
    pool: Pool[WorkT] = field(init=False)
    failed: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.pool = Pool[WorkT](self.launcher)

    @property
    def outcome(self) -> Outcome:
        """What has happened so far."""
        return Outcome(interrupted=self.pool.stop_requested, timed_out=self.pool.timed_out, failed=self.failed)

    def stop(self) -> None:
        """Start no more jobs and interrupt the running ones. Safe to call from a signal handler."""
        self.pool.stop()

    def placed(self, job: Job, name: str, *, device: str, threads: int) -> Job:
        """Return a job with the place where it is trained, and a folder of this name for its weights and checkpoint."""
        folder = self.weights / job.family / name
        files = {"weights": folder / "weights.safetensors", "checkpoint": folder / "checkpoint"}
        return replace(job, device=device, threads=threads, **files)

    @abstractmethod
    def keep_epoch(self, work: WorkT, result: EpochResult) -> None:
        """Store an epoch where a later process finds it."""

    @abstractmethod
    def keep_failure(self, work: WorkT, details: str) -> None:
        """Store what is known of a failure beside its reason."""

    def record_epoch(self, work: WorkT, result: EpochResult) -> None:
        """Record an epoch, and tell the worker whether to go on."""
        work.add(result)
        # The worker goes on while the epoch is written.
        self.pool.answer(work, go_on=not work.is_cut_off)
        self.keep_epoch(work, result)
        self.observer.epoch_ended(work)

    def record_failure(self, work: WorkT, reason: str, details: str) -> None:
        """Record why a job failed.

        Raises:
            StorageFailedError: for want of space on a disk, of which the next job would fail too.
        """
        if reason.startswith(DISK_FULL):
            raise StorageFailedError(reason)
        self.failed += 1
        work.reason = reason
        self.keep_failure(work, details)

    def requeues(self, work: WorkT, died: WorkerDied, deaths: int) -> bool:
        """Whether a job whose worker died is to resume; otherwise it has failed, which is recorded.

        Args:
            work: the job.
            died: how its worker died.
            deaths: how often that has happened by now, without those that somebody asked for.
        """
        if deaths > MOST_DEATHS:
            self.record_failure(work, died.reason, f"{died.reason}; it has lost {deaths} workers")
            return False
        self.observer.died(work, died.reason)
        self.pool.release(work)
        return True

    def forget(self, family: str, *, keep: Collection[str] = (), only: str | None = None) -> None:
        """Remove the folders of a family's jobs, or only one of them, except for those to keep."""
        folder = self.weights / family
        for path in folder.glob("*" if only is None else only):
            if path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):  # as long as there is something in them
            folder.rmdir()
            self.weights.rmdir()
