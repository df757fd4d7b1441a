"""The interface between a pool of workers and whatever carries jobs to them."""

import traceback
from dataclasses import dataclass
from typing import Protocol

from ...sources import DISK_FULL, fit, is_disk_full
from ..study import EpochResult
from ..training import Job, JobKey


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnded:
    """A worker has finished an epoch of a job and waits for an answer."""

    key: JobKey
    result: EpochResult


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnded:
    """A job has trained all its epochs, stopped early, or was told to stop. Its worker is free."""

    key: JobKey


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed:
    """A job raised an error. Its worker is free.

    The reason is one line; details are the traceback.
    """

    key: JobKey
    reason: str
    details: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerDied:
    """The worker of a job died, or gave no sign and was killed. Another one has taken its place, and is free.

    Attributes:
        key: of the job.
        reason: one line.
        is_failure: False where somebody asked the worker to end, with SIGTERM or the like.
    """

    key: JobKey
    reason: str
    is_failure: bool


Event = EpochEnded | JobEnded | JobFailed | WorkerDied

MOST_OF_REASON, MOST_OF_DETAILS = 500, 20_000
"""Characters that are kept of what user-defined code and libraries say."""

OUT_OF_MEMORY = "out of memory"
MEMORY_ERRORS = (OUT_OF_MEMORY, "DefaultCPUAllocator", "ALLOC_FAILED")
"""What torch's errors say when there is no memory left, on the GPU, on the CPU and in CUDA's libraries."""


def failure(key: JobKey, error: Exception) -> JobFailed:
    """Describe an error that a job raised, in one line and with its traceback."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    if isinstance(error, MemoryError) or any(text in str(error) for text in MEMORY_ERRORS):
        reason = f"{OUT_OF_MEMORY}: {reason}"
    elif is_disk_full(error):
        reason = f"{DISK_FULL}: {reason}"
    details = "".join(traceback.format_exception(error))
    return JobFailed(key=key, reason=fit(reason, MOST_OF_REASON), details=fit(details, MOST_OF_DETAILS))


class Launcher(Protocol):
    """Carries jobs to workers, and their epochs back."""

    devices: tuple[str, ...]
    """The torch device of each worker; as many jobs run at once."""

    threads: int
    """Torch threads of each worker."""

    def submit(self, job: Job) -> None:
        """Start a job on a free worker of its device; there must be one."""
        ...

    def next_event(self, timeout_seconds: float) -> Event | None:
        """Wait for the next event; None if nothing happens within the timeout."""
        ...

    def answer(self, key: JobKey, *, go_on: bool) -> None:
        """Tell a worker that waits after an epoch whether to go on; a job that is told to stop writes no weights."""
        ...

    def close(self) -> None:
        """End all workers at once, whatever they are doing."""
        ...
