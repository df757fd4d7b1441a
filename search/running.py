"""Run a study: check everything first, then open both stores, prepare the images and start the workers."""

import os
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from joblib import cpu_count  # pyright: ignore[reportMissingTypeStubs]

from ..datasets import DataError, Prepared, Progress, prepare
from . import storage as stores
from . import tracking
from .checking import check_models, check_study, check_weights
from .comparable import check_comparable
from .coordinator import Coordinator, Observer, Outcome
from .errors import NothingStoredError, StorageError, StudyError
from .launchers import InlineLauncher, Launcher, ProcessLauncher
from .study import Study

LauncherName = Literal["processes", "inline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things lie.

    Args:
        storage: URL of Optuna's storage.
        tracking_uri: of MLflow.
        data_dir: where data sets that are not embedded are looked for.
        cache_dir: where decoded images are kept.
    """

    storage: str
    tracking_uri: str
    data_dir: Path
    cache_dir: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a study may use of the machine.

    Args:
        launcher: processes, or inline for one job at a time in this process.
        device: auto, cpu, cuda, or a torch device such as cuda:1.
        workers: jobs at once; None for as many as there are cores, or GPUs.
        threads: torch threads of each worker; None for an equal share of the cores.
    """

    launcher: LauncherName = "processes"
    device: str = "auto"
    workers: int | None = None
    threads: int | None = None


def run_study(
    study: Study,
    *,
    places: Places,
    machine: Machine,
    observer: Observer,
    on_decoded: Progress | None = None,
    on_start: Callable[[Coordinator], None] = lambda _: None,
) -> Outcome:
    """Search until the study's budget is spent.

    Args:
        study: what to search; trials that are stored count.
        places: where things lie.
        machine: what may be used.
        observer: who watches.
        on_decoded: told how many images of how many are decoded.
        on_start: gets the coordinator before it runs, so that a signal handler can stop it.

    Raises:
        OptrackError: bad input, or a store that does not answer; before anything is written where that can be known.
    """
    check_study(study)
    stores.check_address(places.storage)
    tracking.check_address(places.tracking_uri)
    _check_apart(places)
    devices = _devices(machine, most=study.budget.trials * len(study.families))
    data = _prepared(study, places, on_decoded)
    for family in study.families:
        check_models(family, data.input_shape, len(data.classes))
        check_weights(family, data.input_shape, len(data.classes))
    _check_stored(study, data, places.storage)
    with stores.owned(places.storage, study.name), _launcher(machine, devices) as launcher:
        coordinator = Coordinator(
            study,
            # Workers import torch while the stores are opened.
            storage=stores.open_storage(places.storage),
            tracker=tracking.Tracker(places.tracking_uri, study, data),
            launcher=launcher,
            data=data,
            weights=stores.state_folder(places.storage) / "weights" / study.name,
            observer=observer,
        )
        on_start(coordinator)
        return coordinator.run()


def _check_apart(places: Places) -> None:
    """Optuna and MLflow keep the version of their tables under one name."""
    same = places.storage == places.tracking_uri
    if places.tracking_uri.startswith("sqlite"):
        same = stores.sqlite_path(places.storage) == stores.sqlite_path(places.tracking_uri)
    if same:
        raise StorageError(
            f"--storage and --tracking-uri must be two databases, but both are {stores.shown(places.storage)}"
        )


def _prepared(study: Study, places: Places, progress: Progress | None) -> Prepared:
    try:
        return prepare(
            study.data.name,
            image_size=study.data.image_size,
            validation=study.data.validation,
            split_seed=study.data.split_seed,
            group_pattern=study.data.group_pattern,
            data_dir=places.data_dir,
            cache_dir=places.cache_dir,
            progress=progress,
        )
    except DataError as error:
        raise StudyError(str(error)) from error


def _check_stored(study: Study, data: Prepared, url: str) -> None:
    try:
        storage = stores.read_storage(url)
    except NothingStoredError:
        return
    check_comparable(study, data, stores.stored_families(storage, study.name))


def _devices(machine: Machine, *, most: int) -> tuple[str, ...]:
    """One device for each worker: as many as there are GPUs or cores, no more than there are trials.

    Raises:
        StudyError: a device that this machine has not.
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


def _bounded(machine: Machine, default: int, most: int) -> int:
    return 1 if machine.launcher == "inline" else min(machine.workers or default, most)


@contextmanager
def _launcher(machine: Machine, devices: tuple[str, ...]) -> Generator[Launcher]:
    # cuBLAS is deterministic only with a fixed workspace, which it reads from here when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads = machine.threads or max(1, cpu_count() // len(devices))
    launcher: Launcher
    if machine.launcher == "inline":
        launcher = InlineLauncher(device=devices[0], threads=threads)
    else:
        launcher = ProcessLauncher(devices=devices, threads=threads)
    try:
        yield launcher
    finally:
        launcher.close()
