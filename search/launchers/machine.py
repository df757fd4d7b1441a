"""What a study may use of the machine: devices, workers and threads."""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from joblib import cpu_count  # pyright: ignore[reportMissingTypeStubs]

from ..errors import StudyError
from .base import Launcher
from .inline import InlineLauncher
from .processes import ProcessLauncher

LauncherName = Literal["processes", "inline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a study may use of the machine.

    Args:
        launcher: processes, or inline for one job at a time in this process.
        device: auto, cpu, cuda, or a torch device such as cuda:1.
        workers: most jobs at once; None for one per core, or per GPU.
        threads: torch threads of each worker; None for an equal share of the cores.
        hang_seconds: how long a worker may give no sign; None for ten times its longest epoch, at least a minute.
    """

    launcher: LauncherName = "processes"
    device: str = "auto"
    workers: int | None = None
    threads: int | None = None
    hang_seconds: float | None = None


def devices_of(machine: Machine, *, most: int) -> tuple[str, ...]:
    """Choose a device for each worker: one worker per GPU or core unless told otherwise, and at most `most`.

    Raises:
        StudyError: a device this machine does not have.
    """
    import torch

    gpus = torch.cuda.device_count()
    name = machine.device
    if name == "auto":
        name = "cuda" if gpus else "cpu"
    if name == "cpu":
        return ("cpu",) * _bounded(machine, cpu_count(), most)
    match = re.fullmatch(r"cuda(?::(\d+))?", name)
    if match is None:
        raise StudyError(f"--device must be auto, cpu, cuda or cuda:N, but got {name!r}")
    if int(match[1] or 0) >= gpus:
        raise StudyError(f"--device {name}: torch can use {gpus} CUDA devices on this machine")
    if match[1] is None:
        return tuple(f"cuda:{index % gpus}" for index in range(_bounded(machine, gpus, most)))
    return (name,) * _bounded(machine, 1, most)


@contextmanager
def launcher_of(machine: Machine, devices: tuple[str, ...]) -> Generator[Launcher]:
    """Open the launcher with its workers, which end with the block."""
    # cuBLAS is deterministic only with a fixed workspace, which it reads from here when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads = machine.threads or max(1, cpu_count() // len(devices))
    launcher: Launcher
    if machine.launcher == "inline":
        launcher = InlineLauncher(device=devices[0], threads=threads)
    else:
        launcher = ProcessLauncher(devices=devices, threads=threads, hang_seconds=machine.hang_seconds)
    try:
        yield launcher
    finally:
        launcher.close()


def _bounded(machine: Machine, default: int, most: int) -> int:
    return 1 if machine.launcher == "inline" else min(machine.workers or default, most)
