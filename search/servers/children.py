"""The servers behind `optrack ui`: MLflow's and Optuna's own pages as child processes that end with this one.

Each child leads a process group of its own, so that Ctrl-C in the terminal reaches this process alone, which then ends
the whole group: `mlflow ui` starts its web server as a further child, which would outlive it otherwise.
"""

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread

from ..errors import ServerError
from ..stores import first_line, shown
from .listening import HOST, listener, stop_signals

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


_DASHBOARD = (
    "import os, sys; from optuna_dashboard._cli import main; sys.argv.append(os.environ.pop('OPTRACK_STORAGE')); main()"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server to start on this machine.

    Args:
        name: as users see it.
        arguments: what follows the interpreter on its command line.
        port: at which it listens.
        option: of our command line that changes the port.
        path: a page that answers once the server is up.
        environment: what it is told there; command lines are for all users of this machine to see.
    """

    name: str
    arguments: tuple[str, ...]
    port: int
    option: str
    path: str
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


class Child:
    """A started server: its process, and the last lines that it printed; variables that the user has set win."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._process = subprocess.Popen(  # noqa: S603  our own interpreter and arguments, and no shell
            [sys.executable, *server.arguments],
            env={**_ENVIRONMENT, **os.environ, **server.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        # Somebody has to read: a server whose pipe is full stands still.
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def require_alive(self) -> None:
        """Raise a `ServerError` with the server's last lines once it has ended."""
        code = self._process.poll()
        if code is None:
            return
        self._reader.join(1.0)
        how = f"exited with code {code}" if code >= 0 else f"was killed by signal {-code}"
        said = first_line(" | ".join(self._lines) or "nothing", *self.server.environment.values())
        raise ServerError(f"{self.server.name} {how}; its last lines: {said}")

    def answers(self) -> bool:
        """Return whether the server's page comes back; with http.client, as urllib would ask a configured proxy."""
        connection = http.client.HTTPConnection(HOST, self.server.port, timeout=2.0)
        try:
            connection.request("GET", self.server.path)
            return connection.getresponse().status < http.HTTPStatus.BAD_REQUEST
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def signal_group(self, number: int) -> bool:
        """Send a signal to the server and all its children; return whether any of them was there to get it."""
        self._process.poll()  # reaps the leader, which would count as alive otherwise
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            return False
        return True

    def close(self) -> None:
        """Wait for the end of a server that was killed, and close its pipe."""
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
    """Start servers, and end them with all their children when the block ends, whatever happens."""
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
) -> None:
    """Run MLflow's and Optuna's pages until Ctrl-C or a termination signal, and leave no process behind.

    Each is announced with its name and address once it answers. An MLflow server elsewhere is announced, and none is
    started. Optuna's storage must exist: the dashboard creates no tables.

    Raises:
        ServerError: a port is taken, or a server ended or did not answer in time.
    """
    dashboard = _dashboard(storage_url, dashboard_port)
    if tracking_uri.startswith(("http://", "https://")):
        announce("MLflow", re.sub(r"//[^/]*\*@", "//", shown(tracking_uri)))
        servers = [dashboard]
    else:
        servers = [_mlflow(tracking_uri, mlflow_port), dashboard]
    _require_free_ports(servers)
    # Signals are remembered: an exception in the middle of starting or ending a child would leave it behind. That the
    # terminal was closed is among them, as the children, in sessions of their own, would not hear of it.
    stops: list[bool] = []
    with stop_signals(lambda: stops.append(True)), running(servers) as children:
        _watch(children, stops, announce)


def _mlflow(tracking_uri: str, port: int) -> Server:
    # One worker is up in a third of the time of the usual four, and takes a quarter of the memory.
    arguments = ("-m", "mlflow", "ui", *_where(port), "--workers", "1")
    told = {"MLFLOW_BACKEND_STORE_URI": tracking_uri}
    return Server(
        name="MLflow", arguments=arguments, port=port, option="--mlflow-port", path="/health", environment=told
    )


def _dashboard(storage_url: str, port: int) -> Server:
    # Left to itself the dashboard takes gunicorn, which MLflow brings along, and opens the storage before it forks:
    # an open SQLite database must not be carried across a fork (sqlite.org/howtocorrupt.html, 2.6). wsgiref does not
    # fork. The package has no __main__; _cli is what its own console script runs, which takes a storage as argument.
    arguments = ("-c", _DASHBOARD, *_where(port), "--server", "wsgiref")
    return Server(
        name="Optuna dashboard",
        arguments=arguments,
        port=port,
        option="--dashboard-port",
        path="/dashboard",
        environment={"OPTRACK_STORAGE": storage_url},
    )


def _where(port: int) -> tuple[str, ...]:
    return ("--host", HOST, "--port", str(port))


def _require_free_ports(servers: Sequence[Server]) -> None:
    ports = [server.port for server in servers]
    if len(set(ports)) < len(ports):
        options = " and ".join(server.option for server in servers)
        raise ServerError(f"{options} must differ, but both are {ports[0]}")
    for server in servers:
        with listener(server.port, option=server.option, name=server.name):
            pass


def _watch(children: Sequence[Child], stops: Sequence[bool], announce: Callable[[str, str], None]) -> None:
    silent = list(children)
    deadline = time.monotonic() + _START_SECONDS
    while not stops:
        for child in children:
            child.require_alive()
        for child in list(silent):
            if child.answers():
                silent.remove(child)
                announce(child.server.name, f"http://{HOST}:{child.server.port}")
        if silent and time.monotonic() > deadline:
            raise ServerError(f"{silent[0].server.name} did not answer within {_START_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)


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
