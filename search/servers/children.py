"""The servers behind `optrack ui`: MLflow's and Optuna's own pages as child processes that end with us.

Each child leads a process group of its own, so that a Ctrl-C in the terminal reaches us alone and we end the whole
group: `mlflow ui` starts its web server as a further child, which would outlive it otherwise.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from types import FrameType

from ..errors import ServerError

HOST = "127.0.0.1"

_START_SECONDS = 180.0  # MLflow imports for 6 to 20 s, and creates its tables on the first start
_GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.2
_LAST_LINES = 3

# Jobs would start further processes (1.5 GB instead of 0.4), telemetry would leave this machine.
_ENVIRONMENT = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What to start, and where it answers.

    Attributes:
        name: What people call it.
        arguments: What follows the interpreter on its command line.
        port: The TCP port on this machine at which it listens.
        option: The option of our command line that changes the port.
        path: A page that answers once the server is up.
    """

    name: str
    arguments: tuple[str, ...]
    port: int
    option: str
    path: str

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self.port}"


class Child:
    """A server that was started: its process, and the last lines that it printed.

    Args:
        server: What to start. Variables that the user set win over ours.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._process = subprocess.Popen(  # noqa: S603  our own interpreter and arguments, and no shell
            [sys.executable, *server.arguments],
            env=_ENVIRONMENT | os.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        # Someone has to read: a server whose pipe is full stands still.
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def require_alive(self) -> None:
        """Raises what the server said last, if it has ended.

        Raises:
            ServerError: It has ended.
        """
        code = self._process.poll()
        if code is None:
            return
        self._reader.join(1.0)
        how = f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
        said = " | ".join(self._lines) or "nothing"
        raise ServerError(f"{self.server.name} {how}; its last lines: {said}")

    def answers(self) -> bool:
        """Whether the server's page comes back; http.client, because urllib would ask a configured proxy."""
        connection = http.client.HTTPConnection(HOST, self.server.port, timeout=2.0)
        try:
            connection.request("GET", self.server.path)
            return connection.getresponse().status < http.HTTPStatus.BAD_REQUEST
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def signal_group(self, number: int) -> bool:
        """Sends a signal to the server and all its children, and says whether there was anyone to get it."""
        self._process.poll()  # reaps the leader, which would count as alive otherwise
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            return False
        return True

    def close(self) -> None:
        """Waits for the end of a server that was killed, and closes its pipe."""
        self._process.wait()
        self._reader.join(1.0)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            if line.strip():
                self._lines.append(line.strip())


@contextmanager
def running(servers: Sequence[Server]) -> Generator[list[Child]]:
    """Starts servers, and ends them with all their children on the way out, whatever happens."""
    children: list[Child] = []
    try:
        for server in servers:
            children.append(Child(server))  # noqa: PERF401  a comprehension would lose the first if the second fails
        yield children
    finally:
        _end(children)


def serve(
    *,
    tracking_uri: str,
    storage_url: str,
    mlflow_port: int,
    dashboard_port: int,
    announce: Callable[[str, str], None],
    artifact_root: str | None = None,
) -> None:
    """Runs MLflow's and Optuna's pages until Ctrl-C or a termination signal, and leaves no process behind.

    Args:
        tracking_uri: MLflow's store; where it is an MLflow server already, that one is announced and none started.
        storage_url: Optuna's storage, which must exist: the dashboard creates no tables.
        mlflow_port: Port for MLflow.
        dashboard_port: Port for Optuna's dashboard.
        announce: Called once for each server when it answers, with its name and its address.
        artifact_root: Where experiments that are made in MLflow's page keep their files; MLflow's default if None.

    Raises:
        ServerError: A port is taken, or a server ended or did not answer in time.
    """
    dashboard = _dashboard(storage_url, dashboard_port)
    if tracking_uri.startswith(("http://", "https://")):
        announce("MLflow", tracking_uri)
        servers = [dashboard]
    else:
        servers = [_mlflow(tracking_uri, mlflow_port, artifact_root), dashboard]
    _require_free_ports(servers)
    with _signals() as received, running(servers) as children:
        _watch(children, received, announce)


def _mlflow(tracking_uri: str, port: int, artifact_root: str | None) -> Server:
    # One worker is up in a third of the time of the usual four, and takes a quarter of the memory.
    arguments = ["-m", "mlflow", "ui", "--backend-store-uri", tracking_uri]
    arguments += ["--host", HOST, "--port", str(port), "--workers", "1"]
    if artifact_root is not None:
        arguments += ["--default-artifact-root", artifact_root]
    return Server(name="MLflow", arguments=tuple(arguments), port=port, option="--mlflow-port", path="/health")


def _dashboard(storage_url: str, port: int) -> Server:
    # Left to itself the dashboard takes gunicorn, which MLflow brings along, and opens the storage before it forks:
    # an open SQLite database must not be carried across a fork (sqlite.org/howtocorrupt.html, 2.6). wsgiref does not
    # fork. The package has no __main__; _cli is what its own console script runs.
    arguments = ["-m", "optuna_dashboard._cli", storage_url, "--host", HOST, "--port", str(port)]
    arguments += ["--server", "wsgiref"]
    return Server(
        name="Optuna dashboard",
        arguments=tuple(arguments),
        port=port,
        option="--dashboard-port",
        path="/dashboard",
    )


def _require_free_ports(servers: Sequence[Server]) -> None:
    ports = [server.port for server in servers]
    if len(set(ports)) < len(ports):
        options = " and ".join(server.option for server in servers)
        raise ServerError(f"{options} must differ, but both are {ports[0]}")
    for server in servers:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the past do no harm
            try:
                probe.bind((HOST, server.port))
            except OSError as error:
                problem = f"port {server.port} for {server.name} cannot be had ({error.strerror})"
                raise ServerError(f"{problem}: choose another with {server.option}") from error


def _watch(children: Sequence[Child], received: Sequence[int], announce: Callable[[str, str], None]) -> None:
    silent = list(children)
    deadline = time.monotonic() + _START_SECONDS
    while not received:
        for child in children:
            child.require_alive()
        for child in list(silent):
            if child.answers():
                silent.remove(child)
                announce(child.server.name, child.server.address)
        if silent and time.monotonic() > deadline:
            raise ServerError(f"{silent[0].server.name} did not answer within {_START_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)


@contextmanager
def _signals() -> Generator[list[int]]:
    """Collects the signals that ask us to end, instead of an exception in the middle of starting or ending a child."""
    received: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    # SIGHUP comes when the terminal is closed; the children, in sessions of their own, would not hear of it.
    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(children: Sequence[Child]) -> None:
    for number, seconds in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, 1.0)):
        for child in children:
            child.signal_group(number)
        deadline = time.monotonic() + seconds
        # A list, not a generator: each of them must be looked at to be reaped.
        while any([child.signal_group(0) for child in children]) and time.monotonic() < deadline:  # noqa: C419
            time.sleep(0.05)
    for child in children:
        child.close()
