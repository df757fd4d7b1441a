"""What is costly to make is made once for a whole run, however many processes share its tests."""

import contextlib
import hashlib
import importlib.util
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import filelock
import hypothesis
import pytest

# Machines under load make single examples slow; the same examples each time make a failure everybody's.
hypothesis.settings.register_profile("optrack", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("optrack")


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


@pytest.fixture
def only_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make a folder look as if its file system were mounted to be read alone; permissions do not stop root."""
    real, folders = os.access, list[Path]()

    def access(path: Path, mode: int) -> bool:
        forbidden = mode == os.W_OK and any(Path(path).is_relative_to(folder) for folder in folders)
        return not forbidden and real(path, mode)

    monkeypatch.setattr(os, "access", access)
    return folders.append


@pytest.fixture(scope="session")
def empty_mlflow(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """MLflow's tables with nothing in them, to be copied: it takes MLflow seconds to make them."""

    def make(folder: Path) -> None:
        from mlflow import MlflowClient

        MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()

    return made_once("empty_mlflow", make) / "mlflow.db"


class Postgres:
    """A real PostgreSQL server in a folder of its own, at a socket in that folder.

    Args:
        folder: short, as it is part of a socket's address.
        programs: where `initdb` and `pg_ctl` lie.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._data = folder / "data"
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(folder, "nobody")
        self._call("initdb", "--auth=trust", "--username=optrack", "--no-sync", "--encoding=UTF8")
        self.start()

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses= -c fsync=off -c max_connections=40"
        self._call("pg_ctl", "start", "--wait", f"--log={self._folder}/log", f"--options={options}")

    def stop(self) -> None:
        self._call("pg_ctl", "stop", "--wait", "--mode=fast")

    def database(self, name: str) -> str:
        """Make an empty database; its address."""
        self._call("createdb", f"--host={self._folder}", "--username=optrack", name, in_data=False)
        return f"postgresql://optrack@/{name}?host={quote(str(self._folder), safe='')}"

    def _call(self, program: str, *arguments: str, in_data: bool = True) -> None:
        subprocess.run(
            [self._programs / program, *([f"--pgdata={self._data}"] if in_data else []), *arguments],
            user="nobody" if os.geteuid() == 0 else None,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )


def postgres_programs() -> list[Path]:
    """Where PostgreSQL's programs may lie: the system's, and those that pip brings."""
    brought = importlib.util.find_spec("pgserver")  # not imported: it would make folders in the user's home
    places = [Path(place) / "pginstall/bin" for place in (brought and brought.submodule_search_locations) or ()]
    return [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), *places]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL for this process's tests; they are skipped where none can be started."""
    # The address of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        Path(folder).chmod(0o755)
        server = started_postgres(Path(folder))
        yield server
        server.stop()


def started_postgres(folder: Path) -> Postgres:
    for number, programs in enumerate(postgres_programs()):
        place = folder / f"{number}"
        place.mkdir()
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            return Postgres(place, programs)
    pytest.skip("no PostgreSQL could be started")


@pytest.fixture
def postgres_url(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    """Of an empty database in a real PostgreSQL."""
    return postgres.database(hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12])


SERVER_START_SECONDS = 120


@contextlib.contextmanager
def mlflow_at_a_port(*arguments: str, health: str, folder: Path, **environment: str) -> Generator[int]:
    """Run one of MLflow's servers until the block ends, in a folder; the port at which it answers under `health`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    scripts = Path(sys.executable).parent
    process = subprocess.Popen(
        [scripts / "mlflow", *arguments, "--port", str(port)],
        # It starts its web server as a further process, found by its name.
        env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", **environment},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        give_up = time.monotonic() + SERVER_START_SECONDS
        while not answers(f"http://127.0.0.1:{port}/{health}"):
            assert process.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.2)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own address
            return response.status == 200
    except OSError:
        return False


@pytest.fixture(scope="session")
def mlflow_server() -> Callable[..., contextlib.AbstractContextManager[int]]:
    return mlflow_at_a_port


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
