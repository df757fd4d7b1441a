"""What MLflow costs a search: the same search with MLflow in a file, and on servers that are slow or away.

python -m benchmarks.mirror --rounds 3 --trials 12
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from mlflow import MlflowClient
from rich.console import Console
from rich.table import Table

from optrack.search.stores import read_storage, stored_families

from .pipeline import timed
from .record import spread, write_record

STUDY = """
from optrack.search import Budget, Data, Family, Float, Pruner, Study

STUDY = Study(
    "mirrored",
    data=Data("digits", image_size=24),
    budget=Budget(trials={trials}, epochs=10),
    pruner=Pruner("none"),
    families=[
        Family("lenet", architecture="lenet", options={{"batch_size": 16}}, space={{"lr": Float(1e-4, 1e-2, log=True)}})
    ],
)
"""

SEARCH = ["run", "mirrored.py", "--workers", "1", "--threads", "1"]
AWAY_SECONDS = 60.0
DELAY_SECONDS = 0.3
START_SECONDS = 60.0
"""How long MLflow's server may take to start."""


class Way:
    """The way to a server: all that passes can be held up, and the way be closed.

    Args:
        port: where the server listens on this machine.
        delay: seconds by which each piece of a request is held up.
    """

    def __init__(self, port: int, *, delay: float = 0.0) -> None:
        self._to = port
        self._delay = delay
        self._open = list[socket.socket]()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.set(is_open=True)

    def set(self, *, is_open: bool) -> None:
        """Take connections from now on, or refuse them and end those that there are."""
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()
        if is_open:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                here, _ = listener.accept()
                there = socket.create_connection(("127.0.0.1", self._to))
                self._open += [here, there]
                for source, sink, delay in ((here, there, self._delay), (there, here, 0.0)):
                    threading.Thread(target=self._pass_on, args=(source, sink, delay), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket, delay: float) -> None:
        with suppress(OSError), source, sink:
            while content := source.recv(1 << 20):
                time.sleep(delay)
                sink.sendall(content)


def main(
    rounds: Annotated[int, typer.Option(help="Searches of each kind.")] = 3,
    trials: Annotated[int, typer.Option(help="Trials of each search; it must take longer than a server is away.")] = 12,
) -> None:
    """Print a table, and leave a record of it."""
    seconds, differences = {name: list[float]() for name in CASES}, dict.fromkeys(CASES, 0)
    for _ in range(rounds):
        for name, case in CASES.items():
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "mirrored.py").write_text(STUDY.format(trials=trials))
                timed(Path(folder), ["dataset", "prepare", "digits", "--image-size", "24"])
                expected = seconds["file"][-1] if seconds["file"] else 0.0
                took, differing = case(Path(folder), expected)
            seconds[name].append(took)
            differences[name] += differing
            Console(stderr=True).print(f"{name}: {took:.1f} s, {differing} values differ")
    results = [
        {
            "mlflow": name,
            "seconds": asdict(spread(values)),
            "ratio": asdict(spread([mine / file for mine, file in zip(values, seconds["file"], strict=True)])),
            "differences_after_sync": differences[name],
        }
        for name, values in seconds.items()
    ]
    Console().print(table_of(results))
    settings = {"rounds": rounds, "trials": trials}
    Console(stderr=True).print(write_record("mirror", settings=settings, results=results))


def table_of(results: Sequence[Mapping[str, Any]]) -> Table:
    """Build the table that is printed."""
    table = Table(title="wall clock of a search beside the same one with MLflow in a file")
    for column in ("MLflow", "s", "ratio", "lowest", "highest", "differences after sync"):
        table.add_column(column, justify="right")
    for row in results:
        ratio = row["ratio"]
        figures = (row["seconds"]["median"], ratio["median"], ratio["lowest"], ratio["highest"])
        table.add_row(row["mlflow"], *(f"{figure:.3f}" for figure in figures), str(row["differences_after_sync"]))
    return table


def with_file(folder: Path, _: float) -> tuple[float, int]:
    """MLflow's database is a file beside Optuna's."""
    took = timed(folder, SEARCH)
    return took, differing(folder, f"sqlite:///{folder}/mlflow.db")


def with_server(folder: Path, expected: float, *, delay: float = 0.0, away: tuple[float, float] | None = None) -> Any:
    """Search with a server; it is away between two shares of the time that the search is expected to take."""
    with server(folder) as port:
        way = Way(port, delay=delay)
        stop = threading.Event()
        if away is not None:
            begin, end = (max(0.0, moment) for moment in away)
            way.set(is_open=begin > 0)
            threading.Thread(target=be_away, args=(way, stop, begin, end), daemon=True).start()
        took = timed(folder, [*SEARCH, "--tracking-uri", f"http://127.0.0.1:{way.port}"])
        stop.set()
        way.set(is_open=False)
        direct = f"http://127.0.0.1:{port}"
        timed(folder, ["sync", "mirrored.py", "--tracking-uri", direct])
        return took, differing(folder, direct)


def be_away(way: Way, stop: threading.Event, begin: float, end: float) -> None:
    """Close the way after some seconds, and open it later."""
    if not stop.wait(begin):
        way.set(is_open=False)
        if not stop.wait(end - begin):
            way.set(is_open=True)


CASES: dict[str, Callable[[Path, float], tuple[float, int]]] = {
    "file": with_file,
    "server": with_server,
    "300 ms away": lambda folder, expected: with_server(folder, expected, delay=DELAY_SECONDS),
    "never there": lambda folder, expected: with_server(folder, expected, away=(0.0, 1e6)),
    "gone for 60 s": lambda folder, expected: with_server(folder, expected, away=(15.0, 15.0 + AWAY_SECONDS)),
    "gone at the end": lambda folder, expected: with_server(folder, expected, away=(0.8 * expected, 1e6)),
}


@contextmanager
def server(folder: Path) -> Generator[int]:
    """Start MLflow's own server on a database in a folder; its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = folder / "server"
    place.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", "--backend-store-uri"]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - as written here
            [*command, f"sqlite:///{place}/mlflow.db", "--artifacts-destination", place / "artifacts"],
            cwd=place,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while time.monotonic() < deadline:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.1)
            yield port
        finally:
            os.killpg(process.pid, 15)
            process.wait()
            shutil.rmtree(place, ignore_errors=True)


def differing(folder: Path, tracking_uri: str) -> int:
    """Count the values of epochs that MLflow does not hold as Optuna's storage does."""
    client = MlflowClient(tracking_uri)
    (family,) = stored_families(read_storage(f"sqlite:///{folder}/optuna.db"), "mirrored")
    count = 0
    for trial in family.trials:
        for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"):
            history = {each.step: each.value for each in client.get_metric_history(str(trial.mlflow_run), name)}
            count += sum(history.pop(epoch.epoch, None) != getattr(epoch, name) for epoch in trial.epochs)
            count += len(history)
    return count


if __name__ == "__main__":
    typer.run(main)
