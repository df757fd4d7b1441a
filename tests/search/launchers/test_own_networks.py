"""What a user-defined network does to its process does not reach the next job, nor the process that searches."""

import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

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
from optrack.search.training import Job
from optrack.sources import undisturbed

MakeJob = Callable[..., Job]

NETWORK = """
import os, random, sys, threading, time
import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, input_shape, classes):
        super().__init__()
        channels, height, width = input_shape
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, classes))
        {built}

    def forward(self, images):
        {called}
        return self.layers(images)
"""

WATCHER = NETWORK.replace(
    "{built}",
    "state = [os.getcwd(), threading.active_count(), torch.get_default_dtype(), torch.is_grad_enabled(),"
    " os.environ.get('OPTRACK_FAULT'), nn.Linear.forward.__module__, *[os.fstat(fd).st_ino for fd in (1, 2)]]; "
    "open({report!r}, 'w').write(repr(state))",
).replace("{called}", "pass")

FAULTS = {
    "another folder": "os.chdir('/')",
    "streams closed": "os.close(1); os.close(2)",
    "streams elsewhere": "sys.stdout.close(); sys.stderr.close()",
    "a flood": "os.write(1, b'noise ' * 5000)",
    "random states": "torch.manual_seed(7); np.random.seed(7); random.seed(7)",
    "global settings": "torch.set_default_dtype(torch.float64)",
    "no gradients": "torch.autograd.set_grad_enabled(True); os.environ['OPTRACK_FAULT'] = 'left'",
    "a thread": "threading.Thread(target=time.sleep, args=(600,)).start()",
    "an own layer": "nn.Linear.forward = lambda self, x: torch.nn.functional.linear(x, self.weight, self.bias)",
}


@pytest.fixture
def launcher() -> Iterator[ProcessLauncher]:
    made = ProcessLauncher(devices=("cpu",), threads=1)
    yield made
    made.close()


@pytest.fixture
def network(tmp_path: Path, job_of: MakeJob) -> Callable[..., Job]:
    """The job of a network whose code is given: `network("os.chdir('/')")`."""

    def made(name: str, text: str) -> Job:
        file = tmp_path / f"{name}.py"
        file.write_text(text)
        digest = sha256(file.read_bytes()).hexdigest()
        return job_of(architecture=f"{file}:Net", source=digest, model={}, epochs=1)

    return made


def trained(launcher: Launcher, job: Job) -> Event:
    launcher.submit(job)
    while True:
        event = launcher.next_event(60)
        assert event is not None
        if not isinstance(event, EpochEnded):
            return event
        launcher.answer(job.key, go_on=True)


def test_the_next_job_finds_its_worker_as_the_first_one_did(
    launcher: ProcessLauncher, network: Callable[..., Job], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report"
    watcher = network("watcher", WATCHER.format(report=str(report)))
    assert isinstance(trained(launcher, watcher), JobEnded)
    before = report.read_text()
    for number, fault in enumerate(FAULTS.values()):
        trained(launcher, network(f"net{number}", NETWORK.format(built=fault, called="pass")))
        report.unlink()
        assert isinstance(trained(launcher, watcher), JobEnded)
        assert report.read_text() == before, fault
    capfd.readouterr()


@pytest.mark.parametrize("error", ["EOFError('asked')", "BrokenPipeError('closed')", "ValueError('wrong')"])
def test_an_error_of_a_network_is_not_taken_for_the_end_of_our_pipe(
    launcher: ProcessLauncher, network: Callable[..., Job], error: str
) -> None:
    failed = trained(launcher, network("net", NETWORK.format(built="pass", called=f"raise {error}")))
    assert isinstance(failed, JobFailed)
    assert failed.reason == error.replace("('", ": ").replace("')", "")


def test_a_network_that_exits_with_a_thread_left_behind_is_not_waited_for(
    launcher: ProcessLauncher, network: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optrack.search.launchers.processes.GRACE_SECONDS", 0.2)
    fault = f"{FAULTS['a thread']}; sys.exit(3)"
    assert isinstance(trained(launcher, network("net", NETWORK.format(built=fault, called="pass"))), WorkerDied)
    assert isinstance(trained(launcher, network("fine", NETWORK.format(built="pass", called="pass"))), JobEnded)


def test_a_job_in_our_own_process_leaves_folder_and_streams_as_they_were(
    network: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fault = f"{FAULTS['another folder']}; {FAULTS['streams closed']}"
    assert isinstance(trained(InlineLauncher(), network("net", NETWORK.format(built=fault, called="pass"))), JobEnded)
    assert Path.cwd() == tmp_path
    os.write(1, b"still here")
    assert capfd.readouterr().out == "still here"


def test_code_that_is_read_leaves_folder_and_streams_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with undisturbed():
        os.chdir("/")
        os.close(1)
    assert Path.cwd() == tmp_path
    os.write(1, b"still here")
    assert capfd.readouterr().out == "still here"
