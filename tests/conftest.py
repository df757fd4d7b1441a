"""What is costly to make is made once for a whole run, however many processes share its tests."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest


@pytest.fixture(scope="session", autouse=True)
def without_waiting_for_the_disk() -> None:
    """Let MLflow's SQLite leave the time of writing to the system: tests need not outlive a power cut."""
    from sqlalchemy import Engine, event

    def connected(connection: Any, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", connected)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Make a folder once for all processes of a run: `made_once("searched", search)`; to be read, or else copied."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder, is_made = shared / name, shared / f"{name}.made"
        with filelock.FileLock(shared / f"{name}.lock"):
            if not is_made.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a process that failed in the middle
                folder.mkdir()
                make(folder)
                is_made.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def empty_mlflow(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """MLflow's tables with nothing in them, to be copied: it takes MLflow seconds to make them."""

    def make(folder: Path) -> None:
        from mlflow import MlflowClient

        MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()

    return made_once("empty_mlflow", make) / "mlflow.db"


@pytest.fixture(scope="session")
def forked_optrack() -> Iterator[Path]:
    """A program that does what the console script does, forked from a process that has imported everything."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, Path(__file__).with_name("command_server.py")]
    # The address of a socket must be short.
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [*command, folder], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        yield Path(folder) / "optrack"
