"""The seam between the coordinator and whatever carries jobs to workers."""

import traceback
from dataclasses import dataclass
from typing import Protocol

from ..training import EpochResult, Job


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnded:
    """A worker has finished an epoch and waits for an answer."""

    job: Job
    result: EpochResult


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnded:
    """A job is through: all its epochs, stopped by itself, or told to stop. Its worker is free."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed:
    """A job raised, or its worker died. The worker, or one in its place, is free.

    Args:
        job: which one.
        reason: one line.
        details: the traceback, or what is known about the death.
    """

    job: Job
    reason: str
    details: str


Event = EpochEnded | JobEnded | JobFailed


def failure(job: Job, error: Exception) -> JobFailed:
    """A job that raised: its error in one line, and the traceback."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return JobFailed(job=job, reason=reason, details="".join(traceback.format_exception(error)))


class Launcher(Protocol):
    """Carries jobs to workers and their epochs back."""

    devices: tuple[str, ...]
    """The torch device of each worker; as many jobs run at once."""

    threads: int
    """Torch threads of each worker."""

    def submit(self, job: Job) -> None:
        """Start a job on a free worker; there must be one."""
        ...

    def next_event(self, timeout_seconds: float) -> Event | None:
        """What happens next, or None when nothing does within the timeout."""
        ...

    def answer(self, job: Job, *, go_on: bool) -> None:
        """Tell a worker that waits after an epoch whether to go on; a job that is told to stop ends without weights."""
        ...

    def close(self) -> None:
        """End all workers at once, whatever they do."""
        ...
