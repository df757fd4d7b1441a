"""Persistent worker processes on this machine, each with its share of the cores."""

import multiprocessing
import os
import re
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ..text import duration
from ..training import Job, JobKey, train
from .base import OUT_OF_MEMORY, EpochEnded, Event, JobEnded, JobFailed, WorkerDied, failure

GRACE_SECONDS = 2.0
"""How long workers that are told to end may take before they are killed."""

HANG_EPOCHS, LEAST_HANG_SECONDS, FIRST_HANG_SECONDS = 10, 60.0, 3600.0
"""A worker hangs that gives no sign for so many times its longest epoch and for so long, or before its first epoch."""

ASKED_TO_END = ("SIGTERM", "SIGINT", "SIGHUP")

MEMORY_COUNTERS = Path("/proc/vmstat")
"""Where Linux counts the processes that it has killed for want of memory."""


@dataclass(slots=True, eq=False)
class _Worker:
    """A process, the pipe to it, its device, the job that it is busy with, and what was heard of it since that began.

    `memory_kills` is the system's count at that time. `silent` counts seconds, except while the worker waits for an
    answer.
    """

    process: BaseProcess
    pipe: Connection
    device: str
    job: Job | None = None
    memory_kills: int = 0
    longest_epoch: float | None = None
    waits: bool = False
    silent: float = 0.0

    def begin(self, job: Job) -> None:
        """Take up a job."""
        self.job, self.memory_kills = job, memory_kills()
        self.longest_epoch, self.waits, self.silent = None, False, 0.0


class ProcessLauncher:
    """Runs jobs in worker processes, one for each device, that live as long as the launcher.

    On the CPU the workers are forked from a server that has already imported torch, so that each starts within
    milliseconds; with CUDA, which does not survive a fork, and where there is no forkserver, they are spawned. One that
    has run user-defined code is replaced after the job.

    A worker that gives no sign for `hang_seconds` is killed; None for ten times its longest epoch, at least a minute,
    and an hour before its first one.
    """

    def __init__(self, *, devices: tuple[str, ...], threads: int, hang_seconds: float | None = None) -> None:
        self.devices = devices
        self.threads = threads
        self._hang_seconds = hang_seconds
        on_cpu = all(device == "cpu" for device in devices)
        forks = on_cpu and "forkserver" in multiprocessing.get_all_start_methods()
        # typeshed declares Process on each kind of context, but not on their common base.
        self._context: Any = multiprocessing.get_context("forkserver" if forks else "spawn")
        if forks:
            # The first optimizer imports torch._dynamo, which takes a second.
            self._context.set_forkserver_preload(["optrack.search.training.loop", "torch._dynamo"])
        self._workers = [self._start(device) for device in devices]

    def submit(self, job: Job) -> None:
        """Start a job on a free worker of its device."""
        worker = next(worker for worker in self._workers if worker.job is None and worker.device == job.device)
        if not worker.process.is_alive():  # it died while it had nothing to do
            worker = self._replaced(worker)
        worker.begin(job)
        with suppress(OSError):  # it died just now, which the next event reports
            worker.pipe.send(job)

    def next_event(self, timeout_seconds: float) -> Event | None:
        """Wait for what a worker sends, or for one to die or to hang; None if nothing happens within the timeout."""
        busy = [worker for worker in self._workers if worker.job is not None]
        started = time.monotonic()
        ready = wait([worker.pipe for worker in busy] + [worker.process.sentinel for worker in busy], timeout_seconds)
        # While this process is busy or suspended it hears nothing, so that only the time that it waited counts.
        waited = min(time.monotonic() - started, timeout_seconds)
        heard = [worker for worker in busy if worker.pipe in ready or worker.process.sentinel in ready]
        for worker in busy:
            worker.silent = 0.0 if worker.waits or worker in heard else worker.silent + waited
            if worker.silent > self._hangs_after(worker):
                return self._hang(worker)
        return self._event(heard[0]) if heard else None

    def answer(self, key: JobKey, *, go_on: bool) -> None:
        """Tell the job's worker whether to go on."""
        for worker in self._workers:
            if worker.job is not None and worker.job.key == key:
                worker.waits = False
                with suppress(OSError):  # it died meanwhile, which the next event reports
                    worker.pipe.send(go_on)

    def close(self) -> None:
        """End all workers at once, whatever they are doing."""
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()

    def _event(self, worker: _Worker) -> Event:
        assert worker.job is not None
        job = worker.job
        try:
            event: Event = worker.pipe.recv()
        except (EOFError, OSError):
            return self._death(worker, job)
        if isinstance(event, EpochEnded):
            worker.longest_epoch = max(worker.longest_epoch or 0.0, event.result.seconds)
            worker.waits = True
        else:
            worker.job = None
            if job.source is not None:
                self._replaced(worker)  # user-defined code may have changed anything in its process
        return event

    def _hangs_after(self, worker: _Worker) -> float:
        if self._hang_seconds is not None:
            return self._hang_seconds
        if worker.longest_epoch is None:
            return FIRST_HANG_SECONDS
        return max(LEAST_HANG_SECONDS, HANG_EPOCHS * worker.longest_epoch)

    def _hang(self, worker: _Worker) -> WorkerDied:
        """Kill and replace a worker that hangs, even one that is stopped."""
        assert worker.job is not None
        worker.process.kill()
        self._replaced(worker)
        reason = f"its worker process gave no sign for {duration(worker.silent)} and was killed"
        return WorkerDied(key=worker.job.key, reason=reason, is_failure=True)

    def _death(self, worker: _Worker, job: Job) -> WorkerDied:
        """Replace a worker that died, and say how it did."""
        worker.process.join(GRACE_SECONDS)  # a thread that user-defined code left behind may hold it
        code = worker.process.exitcode or 0
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        reason = f"its worker process ended with {name}"
        if name == "SIGKILL" and memory_kills() > worker.memory_kills:
            reason = f"{OUT_OF_MEMORY}: the system killed its worker process"
        self._replaced(worker)
        return WorkerDied(key=job.key, reason=reason, is_failure=name not in ASKED_TO_END)

    def _replaced(self, worker: _Worker) -> _Worker:
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        new = self._start(worker.device)
        self._workers[self._workers.index(worker)] = new
        return new

    def _start(self, device: str) -> _Worker:
        ours, theirs = self._context.Pipe()
        process: BaseProcess = self._context.Process(
            target=work, args=(theirs,), daemon=True, name=f"optrack worker on {device}"
        )
        process.start()
        theirs.close()
        return _Worker(process=process, pipe=ours, device=device)


def memory_kills() -> int:
    """Return how many processes the system has killed for want of memory; always 0 where it does not tell."""
    with suppress(OSError):
        found = re.search(r"^oom_kill (\d+)$", MEMORY_COUNTERS.read_text(), re.MULTILINE)
        return int(found[1]) if found else 0
    return 0


def work(pipe: Connection) -> None:
    """Run jobs in a worker until the pipe is closed: take one, send its epochs, wait for the answer to each."""
    # Ctrl-C reaches the whole group of processes; the coordinator decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        while True:
            job: Job = pipe.recv()
            pipe.send(_run(job, pipe))
    except (EOFError, OSError):
        os._exit(0)
    except SystemExit as error:  # of user-defined code, whose threads would be waited for
        os._exit(error.code if isinstance(error.code, int) else int(error.code is not None))


def _run(job: Job, pipe: Connection) -> JobEnded | JobFailed:
    epochs = train(job)
    while True:
        try:
            result = next(epochs, None)
        except Exception as error:  # noqa: BLE001 - a failing trial must not end the worker
            return failure(job.key, error)
        if result is None:
            return JobEnded(key=job.key)
        pipe.send(EpochEnded(key=job.key, result=result))
        if not pipe.recv():
            return JobEnded(key=job.key)


def _end_with_parent() -> None:
    """End a worker whose coordinator was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
