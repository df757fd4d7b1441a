"""What checkpoints cost: the same training with and without them, in turns, and the time that is spent in writing.

python -m benchmarks.checkpoints --rounds 5 --seconds 20
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any
from unittest import mock

import torch
import typer
from rich.console import Console
from rich.table import Table

from optrack.datasets import DataRequest, Prepared, prepare
from optrack.search.training import Job, TrainingConfig, train
from optrack.search.training.checkpoint import Checkpoint

from .record import spread, write_record

NETWORKS: dict[str, dict[str, Any]] = {
    "logistic": {},
    "lenet": {"batch_norm": True},
    "mlp": {"depth": 3, "width": 1024},
    "convnet": {},
}
"""From epochs of a hundredth of a second to epochs of seconds, and from 10,000 parameters to some millions."""

LOOK_SECONDS = 1e-4
"""A call that took no longer did not write: it was too early."""


def main(
    rounds: Annotated[int, typer.Option(help="Trainings of each network, with and without.")] = 5,
    seconds: Annotated[float, typer.Option(help="About as long as each training takes.")] = 20,
) -> None:
    """Print a table, and leave a record of it."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = digits(Path(folder))
        results = [measured(name, data, Path(folder), rounds=rounds, seconds=seconds) for name in NETWORKS]
    table = Table(title="what checkpoints cost, per cent of the training time")
    for column in ("network", "kB", "epochs", "s/epoch", "written", "in writing", "more CPU time"):
        table.add_column(column, justify="right")
    for row in results:
        figures = [row["bytes"] // 1000, row["epochs"], round(row["epoch_seconds"], 3), row["written"]["median"]]
        costs = (row["writing_share"]["median"], row["cpu_ratio"]["median"] - 1)
        table.add_row(row["network"], *map(str, figures), *(f"{100 * cost:.2f}" for cost in costs))
    Console().print(table)
    settings = {"rounds": rounds, "seconds": seconds}
    Console(stderr=True).print(write_record("checkpoints", settings=settings, results=results))


def digits(folder: Path) -> Prepared:
    """The digits at 32x32 pixels."""
    return prepare(DataRequest("digits", image_size=32, data_dir=folder, cache_dir=folder))


def measured(name: str, data: Prepared, folder: Path, *, rounds: int, seconds: float) -> dict[str, Any]:
    """Train a network in turns with and without checkpoints."""
    job = Job(
        family=name,
        trial=0,
        architecture=name,
        model=NETWORKS[name],
        training=TrainingConfig(batch_size=64),
        data=data,
        epochs=2,
        seed=0,
        weights=folder / "weights.safetensors",
    )
    *_, second = train(job)
    plain = replace(job, epochs=max(4, round(seconds / second.seconds)))
    kept = replace(plain, checkpoint=folder / name)
    ratios, shares, written, size = list[float](), list[float](), list[float](), 0
    for _ in range(rounds):
        without, _ = cost_of(plain)
        writes = list[float]()
        with mock.patch.object(Checkpoint, "write", timed(Checkpoint.write, writes)):
            with_checkpoints, wall = cost_of(kept)
        ratios.append(with_checkpoints / without)
        shares.append(sum(writes) / wall)
        written.append(sum(write > LOOK_SECONDS for write in writes))
        size = (folder / name).stat().st_size if (folder / name).exists() else 0
        (folder / name).unlink(missing_ok=True)
    return {
        "network": name,
        "bytes": size,
        "epochs": plain.epochs,
        "epoch_seconds": second.seconds,
        "written": asdict(spread(written)),
        "writing_share": asdict(spread(shares)),
        "cpu_ratio": asdict(spread(ratios)),
    }


def cost_of(job: Job) -> tuple[float, float]:
    """CPU seconds and wall-clock seconds of a training."""
    cpu, wall = time.process_time(), time.perf_counter()
    list(train(job))
    return time.process_time() - cpu, time.perf_counter() - wall


def timed(write: Callable[..., None], writes: list[float]) -> Callable[..., None]:
    """The method as it is; each call adds its wall-clock seconds."""

    def wrapper(*arguments: Any, **options: Any) -> None:
        started = time.perf_counter()
        write(*arguments, **options)
        writes.append(time.perf_counter() - started)

    return wrapper


if __name__ == "__main__":
    typer.run(main)
