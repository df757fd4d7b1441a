import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optrack.search import StudyError
from optrack.search.launchers import InlineLauncher
from optrack.search.launchers.machine import Machine, devices_of, launcher_of

CORES = 6


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optrack.search.launchers.machine.cpu_count", lambda: CORES)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize(
    ("machine", "most", "devices"),
    [
        (Machine(), 99, ("cpu",) * CORES),
        (Machine(), 4, ("cpu",) * 4),
        (Machine(device="cpu", workers=2), 99, ("cpu",) * 2),
        (Machine(workers=9), 99, ("cpu",) * 9),
        (Machine(workers=9), 3, ("cpu",) * 3),
        (Machine(launcher="inline", workers=9), 99, ("cpu",)),
    ],
)
def test_without_gpus_there_is_a_worker_for_each_core_that_has_something_to_do(
    machine: Machine, most: int, devices: tuple[str, ...]
) -> None:
    assert devices_of(machine, most=most) == devices


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("machine", "most", "devices"),
    [
        (Machine(), 99, ("cuda:0", "cuda:1")),
        (Machine(device="cuda"), 1, ("cuda:0",)),
        (Machine(workers=5), 99, ("cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0")),
        (Machine(device="cuda:1"), 99, ("cuda:1",)),
        (Machine(device="cuda:1", workers=2), 99, ("cuda:1", "cuda:1")),
        (Machine(device="cpu"), 2, ("cpu", "cpu")),
        (Machine(launcher="inline"), 99, ("cuda:0",)),
    ],
)
def test_gpus_share_the_workers_evenly(machine: Machine, most: int, devices: tuple[str, ...]) -> None:
    assert devices_of(machine, most=most) == devices


@pytest.mark.usefixtures("two_gpus")
@given(workers=st.integers(1, 20), most=st.integers(1, 20))
def test_there_are_never_more_workers_than_jobs_nor_one_gpu_with_two_more_than_another(workers: int, most: int) -> None:
    devices = devices_of(Machine(device="cuda", workers=workers), most=most)
    assert len(devices) == min(workers, most)
    assert abs(devices.count("cuda:0") - devices.count("cuda:1")) <= 1


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cuda:-1", "CUDA", "", "mps", "cuda:0 "])
def test_an_unknown_device_is_refused(device: str) -> None:
    with pytest.raises(StudyError, match="--device must be auto, cpu, cuda or cuda:N, but got "):
        devices_of(Machine(device=device), most=1)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(StudyError, match=f"--device {device}: torch can use 0 CUDA devices"):
        devices_of(Machine(device=device), most=1)


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_beyond_those_that_are_there_is_refused() -> None:
    with pytest.raises(StudyError, match="--device cuda:2: torch can use 2 CUDA devices"):
        devices_of(Machine(device="cuda:2"), most=1)


class Recorded:
    """In the place of worker processes."""

    made: list["Recorded"]

    def __init__(self, *, devices: tuple[str, ...], threads: int, hang_seconds: float | None) -> None:
        assert hang_seconds is None
        self.devices, self.threads, self.closed = devices, threads, False
        self.made.append(self)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    Recorded.made = []
    monkeypatch.setattr("optrack.search.launchers.machine.ProcessLauncher", Recorded)
    return Recorded.made


@pytest.mark.parametrize(
    ("workers", "threads", "each"), [(1, None, CORES), (2, None, 3), (4, None, 1), (9, None, 1), (2, 5, 5)]
)
def test_workers_share_the_cores(workers: int, threads: int | None, each: int, recorded: list[Recorded]) -> None:
    with launcher_of(Machine(workers=workers, threads=threads), ("cpu",) * workers) as launcher:
        assert launcher is recorded[0]
        assert (launcher.devices, launcher.threads) == (("cpu",) * workers, each)
        assert not recorded[0].closed
    assert recorded[0].closed


def test_workers_end_with_the_block_though_it_raises(recorded: list[Recorded]) -> None:
    with pytest.raises(KeyboardInterrupt), launcher_of(Machine(), ("cpu",)):
        raise KeyboardInterrupt
    assert recorded[0].closed


def test_inline_runs_in_this_process(recorded: list[Recorded]) -> None:
    with launcher_of(Machine(launcher="inline", threads=2), ("cuda:1",)) as launcher:
        assert isinstance(launcher, InlineLauncher)
        assert (launcher.devices, launcher.threads) == (("cuda:1",), 2)
    assert recorded == []


def test_cublas_is_deterministic_before_workers_start(
    recorded: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # so that it is put back afterwards
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    with launcher_of(Machine(), ("cpu",)):
        assert len(recorded) == 1
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with launcher_of(Machine(), ("cpu",)):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
