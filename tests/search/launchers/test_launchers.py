import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from optrack.datasets import Prepared
from optrack.search.launchers import (
    EpochEnded,
    Event,
    InlineLauncher,
    JobEnded,
    JobFailed,
    Launcher,
    ProcessLauncher,
    WorkerDied,
)
from optrack.search.launchers import processes as process_launcher
from optrack.search.launchers.base import MOST_OF_DETAILS, MOST_OF_REASON, failure
from optrack.search.training import Job
from optrack.search.training.job import JobKey

MakeJob = Callable[..., Job]


@pytest.fixture(params=["inline", "processes"])
def launcher(request: pytest.FixtureRequest) -> Iterator[Launcher]:
    made = InlineLauncher() if request.param == "inline" else ProcessLauncher(devices=("cpu",), threads=1)
    yield made
    made.close()


@pytest.fixture
def processes() -> Iterator[ProcessLauncher]:
    made = ProcessLauncher(devices=("cpu", "cpu"), threads=1)
    yield made
    made.close()


def awaited(launcher: Launcher) -> Event:
    event = launcher.next_event(60)
    assert event is not None
    return event


def trained(launcher: Launcher, job: Job, *, stop_after: int = 10**6) -> list[Event]:
    """All events of a job that runs alone."""
    launcher.submit(job)
    events: list[Event] = []
    while True:
        events.append(awaited(launcher))
        if not isinstance(events[-1], EpochEnded):
            return events
        launcher.answer(job.key, go_on=len(events) < stop_after)


def until_gone(pids: list[int], seconds: float = 15) -> list[int]:
    """The processes that are still there after so long."""
    end = time.monotonic() + seconds
    while alive := [pid for pid in pids if is_running(pid)]:
        if time.monotonic() > end:
            return alive
        time.sleep(0.05)
    return []


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pids(launcher: ProcessLauncher) -> list[int]:
    return [worker.process.pid or 0 for worker in launcher._workers]  # pyright: ignore[reportPrivateUsage]


def test_a_job_gives_an_event_for_each_epoch_and_one_for_its_end(launcher: Launcher, job_of: MakeJob) -> None:
    job = job_of(epochs=2)
    events = trained(launcher, job)
    assert [type(event) for event in events] == [EpochEnded, EpochEnded, JobEnded]
    assert [event.result.epoch for event in events if isinstance(event, EpochEnded)] == [1, 2]
    assert all(event.key == job.key for event in events)


def test_a_job_that_is_told_to_stop_ends_without_weights(launcher: Launcher, job_of: MakeJob, tmp_path: Path) -> None:
    events = trained(launcher, job_of(epochs=50, weights=tmp_path / "w.safetensors"), stop_after=2)
    assert [type(event) for event in events] == [EpochEnded, EpochEnded, JobEnded]
    assert list(tmp_path.iterdir()) == []


def test_weights_are_there_when_a_job_has_ended(launcher: Launcher, job_of: MakeJob, tmp_path: Path) -> None:
    trained(launcher, job_of(epochs=1, weights=tmp_path / "w.safetensors"))
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"architecture": "no_such"}, "UnknownArchitectureError: unknown architecture 'no_such'"),
        # torch explains this one in several lines.
        ({"model": {"width": "wide"}}, "TypeError: "),
    ],
)
def test_a_job_that_raises_fails_with_a_line_and_a_traceback_and_the_next_one_runs(
    change: dict[str, Any], reason: str, launcher: Launcher, job_of: MakeJob
) -> None:
    before = pids(launcher) if isinstance(launcher, ProcessLauncher) else []
    [failed] = trained(launcher, job_of(**change))
    assert isinstance(failed, JobFailed)
    assert failed.reason.startswith(reason)
    assert "\n" not in failed.reason
    assert failed.details.startswith("Traceback (most recent call last):")
    assert "in train" in failed.details
    assert failed.details.strip().splitlines()[-1] != ""
    assert isinstance(trained(launcher, job_of(epochs=1))[-1], JobEnded)
    assert (pids(launcher) if isinstance(launcher, ProcessLauncher) else []) == before


def test_images_that_are_gone_fail_the_job(
    launcher: Launcher, job_of: MakeJob, digits: Prepared, tmp_path: Path
) -> None:
    [failed] = trained(launcher, job_of(data=replace(digits, folder=tmp_path / "gone")))
    assert isinstance(failed, JobFailed)
    assert failed.reason.startswith("DataError: the cache folder")


def test_nothing_happens_without_a_job(launcher: Launcher) -> None:
    assert launcher.next_event(0.01) is None


def test_a_closed_launcher_says_nothing_more(job_of: MakeJob) -> None:
    launcher = InlineLauncher()
    launcher.submit(job_of())
    awaited(launcher)
    launcher.close()
    assert launcher.next_event(0) is None


def test_a_worker_that_is_killed_is_told_by_the_signals_name_and_another_takes_its_place(
    processes: ProcessLauncher, job_of: MakeJob
) -> None:
    doomed, fine = job_of(trial=0, epochs=1000), job_of(trial=1, epochs=1)
    processes.submit(doomed)
    assert isinstance(awaited(processes), EpochEnded)
    [killed, other] = pids(processes)
    os.kill(killed, signal.SIGKILL)
    assert until_gone([killed]) == []
    processes.answer(doomed.key, go_on=True)  # to nobody
    died = awaited(processes)
    assert died == WorkerDied(key=doomed.key, reason="its worker process ended with SIGKILL", is_failure=True)
    assert killed not in pids(processes)
    assert other in pids(processes)
    for job in (fine, replace(fine, trial=2)):
        processes.submit(job)
    ended: set[JobKey] = set()
    while len(ended) < 2:
        event = awaited(processes)
        if isinstance(event, EpochEnded):
            processes.answer(event.key, go_on=True)
        else:
            assert isinstance(event, JobEnded)
            ended.add(event.key)


@pytest.fixture
def one() -> Iterator[ProcessLauncher]:
    made = ProcessLauncher(devices=("cpu",), threads=1)
    yield made
    made.close()


def test_a_worker_that_died_while_it_had_nothing_to_do_is_replaced_before_the_next_job(
    one: ProcessLauncher, job_of: MakeJob
) -> None:
    trained(one, job_of(epochs=1))
    [idle] = pids(one)
    os.kill(idle, signal.SIGKILL)
    assert until_gone([idle]) == []
    assert isinstance(trained(one, job_of(epochs=1))[-1], JobEnded)


def died_by(launcher: ProcessLauncher, job: Job, number: signal.Signals) -> Event:
    """What a launcher says of a worker that gets a signal in mid-epoch."""
    launcher.submit(job)
    assert isinstance(awaited(launcher), EpochEnded)
    launcher.answer(job.key, go_on=True)
    os.kill(pids(launcher)[0], number)
    while isinstance(event := awaited(launcher), EpochEnded):
        launcher.answer(job.key, go_on=True)
    return event


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGTERM, signal.SIGHUP])
def test_a_worker_that_somebody_asked_to_end_has_not_failed(
    number: signal.Signals, one: ProcessLauncher, job_of: MakeJob
) -> None:
    event = died_by(one, job_of(epochs=1000), number)
    assert isinstance(event, WorkerDied)
    assert event.reason == f"its worker process ended with {number.name}"
    assert event.is_failure == (number == signal.SIGSEGV)


def test_a_worker_that_the_system_killed_for_want_of_memory_is_told_from_others(
    one: ProcessLauncher, job_of: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = tmp_path / "vmstat"
    monkeypatch.setattr("optrack.search.launchers.processes.MEMORY_COUNTERS", counters)
    job = job_of(epochs=1000)
    event = died_by(one, job, signal.SIGKILL)
    assert isinstance(event, WorkerDied)
    assert event.reason == "its worker process ended with SIGKILL"  # where the system does not tell
    counters.write_text("nr_free_pages 1\noom_kill 4\nswap_ra 0\n")
    one.submit(job)
    counters.write_text("nr_free_pages 1\noom_kill 5\nswap_ra 0\n")
    os.kill(pids(one)[0], signal.SIGKILL)
    while isinstance(event := awaited(one), EpochEnded):
        pass
    assert event == WorkerDied(
        key=job.key, reason="out of memory: the system killed its worker process", is_failure=True
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out of memory: MemoryError:"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried"),
            "out of memory: OutOfMemoryError: CUDA",
        ),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out of memory: RuntimeError: DefaultCPU"),
        (OSError(errno.ENOSPC, "No space left on device"), "no space is left on the disk: OSError: [Errno 28]"),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling"), "out of memory: RuntimeError: CUBLAS"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "RuntimeError: mat1"),
    ],
)
def test_out_of_memory_is_a_reason_of_its_own(error: Exception, reason: str) -> None:
    assert failure(("f", 0, 1), error).reason.startswith(reason)


@pytest.mark.parametrize("epochs_before", [0, 1])
def test_a_worker_that_gives_no_sign_is_killed_even_if_it_is_stopped_and_another_takes_its_place(
    epochs_before: int, job_of: MakeJob
) -> None:
    launcher = ProcessLauncher(devices=("cpu",), threads=1, hang_seconds=20.0)
    try:
        trained(launcher, job_of(epochs=1))  # it has started
        job = job_of(epochs=10**6)
        launcher.submit(job)
        for _ in range(epochs_before):
            assert isinstance(awaited(launcher), EpochEnded)
            launcher.answer(job.key, go_on=True)
        [stopped] = pids(launcher)
        os.kill(stopped, signal.SIGSTOP)
        launcher._hang_seconds = 0.5  # pyright: ignore[reportPrivateUsage]
        event = None
        while not isinstance(event, WorkerDied):
            event = launcher.next_event(0.2)
            if isinstance(event, EpochEnded):  # it was on its way already
                launcher.answer(job.key, go_on=True)
        assert event == WorkerDied(
            key=job.key, reason="its worker process gave no sign for 0.6 s and was killed", is_failure=True
        )
        assert until_gone([stopped]) == []
        launcher._hang_seconds = None  # pyright: ignore[reportPrivateUsage]
        assert isinstance(trained(launcher, job_of(epochs=1))[-1], JobEnded)
    finally:
        launcher.close()


def test_a_worker_that_waits_for_an_answer_does_not_hang(job_of: MakeJob) -> None:
    launcher = ProcessLauncher(devices=("cpu",), threads=1, hang_seconds=60.0)
    try:
        launcher.submit(job_of(epochs=2))
        assert isinstance(awaited(launcher), EpochEnded)
        launcher._hang_seconds = 0.1  # pyright: ignore[reportPrivateUsage]
        assert [launcher.next_event(0.1) for _ in range(5)] == 5 * [None]
    finally:
        launcher.close()


def test_the_time_in_which_the_coordinator_does_not_listen_is_no_silence(
    processes: ProcessLauncher, job_of: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(processes, job_of(epochs=1))
    now = [0.0]

    def suspended(*_: object) -> list[object]:
        now[0] += 10_000
        return []

    monkeypatch.setattr(process_launcher, "wait", suspended)
    monkeypatch.setattr(process_launcher, "time", SimpleNamespace(monotonic=lambda: now[0]))
    processes.submit(job_of())
    assert [processes.next_event(0.2) for _ in range(20)] == 20 * [None]
    assert next(worker.silent for worker in processes._workers if worker.job) == pytest.approx(4)  # pyright: ignore[reportPrivateUsage]
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("told", "longest", "seconds"),
    [(None, None, 3600), (None, 0.5, 60), (None, 30.0, 300), (5.0, None, 5), (5.0, 30.0, 5)],
)
def test_a_hang_is_ten_times_the_longest_epoch_at_least_a_minute_unless_told_otherwise(
    told: float | None, longest: float | None, seconds: float, processes: ProcessLauncher
) -> None:
    worker = processes._workers[0]  # pyright: ignore[reportPrivateUsage]
    processes._hang_seconds, worker.longest_epoch = told, longest  # pyright: ignore[reportPrivateUsage]
    assert processes._hangs_after(worker) == seconds  # pyright: ignore[reportPrivateUsage]


def test_closing_ends_stopped_workers_together(processes: ProcessLauncher) -> None:
    workers = pids(processes)
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    processes.close()
    assert until_gone(workers, seconds=0) == []


def test_an_interruption_from_the_keyboard_does_not_end_a_worker(processes: ProcessLauncher, job_of: MakeJob) -> None:
    job = job_of(epochs=2)
    processes.submit(job)
    assert isinstance(awaited(processes), EpochEnded)
    busy, _ = pids(processes)  # the other one may still be starting
    os.kill(busy, signal.SIGINT)
    time.sleep(0.1)
    processes.answer(job.key, go_on=True)
    assert isinstance(awaited(processes), EpochEnded)
    assert is_running(busy)


def test_closing_ends_workers_whatever_they_do(job_of: MakeJob) -> None:
    launcher = ProcessLauncher(devices=("cpu", "cpu"), threads=1)
    # One is in the middle of an epoch of many steps, one is idle.
    launcher.submit(job_of(epochs=1, batch_size=1, architecture="mlp", model={"width": 512, "depth": 8}))
    time.sleep(0.3)
    workers = pids(launcher)
    assert all(is_running(pid) for pid in workers)
    launcher.close()
    assert until_gone(workers, seconds=0) == []


def test_jobs_go_to_a_free_worker_of_their_device(processes: ProcessLauncher, job_of: MakeJob) -> None:
    assert processes.devices == ("cpu", "cpu")
    assert processes.threads == 1
    jobs = [job_of(trial=0), job_of(trial=1)]
    for job in jobs:
        processes.submit(job)
    first = {event.key for event in (awaited(processes), awaited(processes))}
    assert first == {job.key for job in jobs}


COORDINATOR = """
import pickle, sys, time
from optrack.search.launchers import ProcessLauncher
launcher = ProcessLauncher(devices=("cpu", "cpu"), threads=1)
launcher.submit(pickle.load(open(sys.argv[1], "rb")))
assert launcher.next_event(1.5) is None
print("running", flush=True)
time.sleep(600)
"""


def test_no_process_is_left_when_the_coordinator_is_killed(job_of: MakeJob, tmp_path: Path) -> None:
    import pickle

    # An epoch of about a minute, in the middle of which nobody listens to the pipe.
    job = job_of(batch_size=1, model={"width": 1024, "depth": 9})
    (tmp_path / "job").write_bytes(pickle.dumps(job))
    coordinator = subprocess.Popen(
        [sys.executable, "-c", COORDINATOR, str(tmp_path / "job")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert coordinator.stdout is not None
        assert coordinator.stdout.readline() == "running\n"
        children = [child.pid for child in psutil.Process(coordinator.pid).children(recursive=True)]
        assert len(children) >= 3  # two workers and the server that they are forked from
    finally:
        coordinator.kill()
        coordinator.wait()
        if coordinator.stdout:
            coordinator.stdout.close()
    assert until_gone(children) == []


def test_what_a_network_says_is_cut_and_kept_without_passwords_and_control_characters() -> None:
    error = ValueError("first\x1b[2J postgresql://me:SECRET@host/name\n" + "x" * 10**6 + " last")
    failed = failure(("net", 1, 0), error)
    assert failed.reason.startswith(r"ValueError: first\x1b[2J postgresql://me:***@host/name xxx")
    assert failed.reason.endswith("x last")
    assert len(failed.reason) <= MOST_OF_REASON
    assert len(failed.details) <= MOST_OF_DETAILS
    assert "SECRET" not in failed.details
