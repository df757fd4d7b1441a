"""One job at a time, in this process: for debugging, notebooks and tests."""

from collections.abc import Iterator

from ...sources import undisturbed
from ..study import EpochResult
from ..training import Job, JobKey, train
from .base import EpochEnded, Event, JobEnded, failure


class InlineLauncher:
    """Runs each job in the calling process."""

    def __init__(self, *, device: str = "cpu", threads: int = 1) -> None:
        self.devices = (device,)
        self.threads = threads
        self._job: Job | None = None
        self._epochs: Iterator[EpochResult] = iter(())

    def submit(self, job: Job) -> None:
        """Start a job; the previous one must have ended."""
        assert self._job is None, "one job at a time"
        self._job, self._epochs = job, train(job)

    def next_event(self, timeout_seconds: float) -> Event | None:  # noqa: ARG002 - an epoch cannot be interrupted from its own process
        """Train the running job for one epoch."""
        if self._job is None:
            return None
        key = self._job.key
        try:
            with undisturbed():
                return EpochEnded(key=key, result=next(self._epochs))
        except StopIteration:
            self._job = None
            return JobEnded(key=key)
        except Exception as error:  # noqa: BLE001 - a failing trial must not end the study
            self._job = None
            return failure(key, error)

    def answer(self, key: JobKey, *, go_on: bool) -> None:
        """Drop the remaining epochs of a job that is told to stop."""
        if not go_on and self._job is not None and self._job.key == key:
            self._epochs = iter(())

    def close(self) -> None:
        """Forget the running job."""
        self._job, self._epochs = None, iter(())
