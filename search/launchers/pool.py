"""The pool of workers that a search and a retraining share: fill it with jobs, learn what happens, stop, close."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ..study import EpochResult, best_epoch
from ..training import Job, JobKey
from .base import Event, Launcher

POLL_SECONDS = 0.2
"""How often the pool checks whether it was asked to stop while all workers are busy."""


@dataclass(slots=True, kw_only=True)
class Work:
    """A job under way, and its results so far.

    Args:
        job: the training.
        name: what users see of it.
        values: the searched hyperparameters.
        epochs: results so far.
        reason: why it stops early, diverged or failed; None while it goes on.
    """

    job: Job
    name: str
    values: Mapping[str, Any]
    epochs: list[EpochResult] = field(default_factory=list[EpochResult])
    reason: str | None = None

    @property
    def best_epoch(self) -> EpochResult | None:
        """The epoch with the best value of the metric, the first of equals; None if no value is finite."""
        return best_epoch(self.epochs, self.job.metric)

    @property
    def value(self) -> float | None:
        """The best epoch's metric; None if nothing validates, or no value is finite."""
        return self.best_epoch and self.best_epoch.metrics()[self.job.metric]

    @property
    def divergence(self) -> str | None:
        """How the last epoch diverged; None if its loss is finite."""
        return self.epochs[-1].divergence

    @property
    def is_cut_off(self) -> bool:
        """Whether it is stopped before its end, and has no result; one that diverged late ends with its best epoch."""
        return self.reason is not None and (self.divergence is None or self.best_epoch is None)

    def add(self, result: EpochResult) -> None:
        """Add the next epoch."""
        self.epochs.append(result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a search or a retraining ended: asked to stop, out of time, with so many failed jobs.

    It has `stopped` where a family was not searched to its end, as all of its first trials failed; `refused` says why
    families were not searched at all, by name.
    """

    interrupted: bool = False
    timed_out: bool = False
    failed: int = 0
    stopped: bool = False
    refused: Mapping[str, str] = field(default_factory=dict[str, str])


WorkT = TypeVar("WorkT", bound=Work)


class Pool(Generic[WorkT]):
    """Keeps the workers of a launcher busy."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._running: dict[JobKey, WorkT] = {}
        self.stop_requested = False
        self.timed_out = False

    @property
    def threads(self) -> int:
        """Torch threads of each worker."""
        return self._launcher.threads

    def stop(self) -> None:
        """Start no more jobs and end `events` soon. Safe to call from a signal handler."""
        self.stop_requested = True

    def events(
        self, next_work: Callable[[str], WorkT | None], *, timeout_seconds: float | None = None
    ) -> Iterator[tuple[WorkT, Event]]:
        """Run jobs until none is left, `stop` is called, or the time is over.

        Whoever receives the events answers each epoch, and releases each job that ended or failed.

        Args:
            next_work: called with a free device; returns what is to run there, or None if nothing is.
            timeout_seconds: None for no limit.
        """
        deadline = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
        while not self.stop_requested:
            self.timed_out = time.monotonic() >= deadline
            if self.timed_out:
                return
            self._fill(next_work)
            if not self._running:
                return
            event = self._launcher.next_event(POLL_SECONDS)
            if event is not None:
                yield self._running[event.key], event

    def answer(self, work: WorkT, *, go_on: bool) -> None:
        """Tell the worker, which waits after an epoch, whether to go on."""
        self._launcher.answer(work.job.key, go_on=go_on)

    def release(self, work: WorkT) -> None:
        """Free the worker of a job that has ended or failed."""
        del self._running[work.job.key]

    def close(self) -> list[WorkT]:
        """End all workers, and return what they were doing."""
        self._launcher.close()
        return list(self._running.values())

    def _fill(self, next_work: Callable[[str], WorkT | None]) -> None:
        while len(self._running) < len(self._launcher.devices) and not self.stop_requested:
            work = next_work(self._free_device())
            if work is None:
                return
            self._running[work.job.key] = work
            self._launcher.submit(work.job)

    def _free_device(self) -> str:
        free = list(self._launcher.devices)
        for work in self._running.values():
            free.remove(work.job.device)
        return free[0]
