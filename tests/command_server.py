"""`optrack` for tests, without the seconds in which a new process imports torch and MLflow.

`python command_server.py FOLDER` imports them once, puts a program `optrack` into the folder, and then forks a process
for each call of that program: with the caller's arguments, current folder, environment and standard streams, in a group
of its own. The program ends as the command does, by an exit code or by a signal; when it is killed, so is the command.
The server ends when its standard input is closed.

What is proven of start-up, the entry point and Ctrl-C needs the real console script, which tests start as well.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sqlite3
import sys
import threading
from pathlib import Path

from sqlalchemy import Engine, event

# What commands import only when they need it.
HEAVY = (
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "optrack.search.cli",
    "optrack.search.report",
    "optrack.search.training",
    "optuna",
    "plotly.graph_objects",
    "sklearn.datasets",
    "sklearn.model_selection",
    "torch._dynamo",
)

PROGRAM = """#!{python} -IS
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
request = {{"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
code = int(server.recv(100))
if code < 0:
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


def main() -> None:
    folder = Path(sys.argv[1])
    for name in HEAVY:
        importlib.import_module(name)
    event.listen(Engine, "connect", leave_writing_to_the_system)
    gc.freeze()  # forks neither look at what they share nor copy it
    assert threading.active_count() == 1, "what other threads hold would be held for ever in a fork"
    with socket.socket(socket.AF_UNIX) as listener:
        address = str(folder / "socket")
        listener.bind(address)
        listener.listen()
        program = folder / "optrack"
        program.write_text(PROGRAM.format(python=sys.executable, address=address))
        program.chmod(0o755)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if os.fork() == 0:
                return look_after(connection)
            connection.close()
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def leave_writing_to_the_system(connection: sqlite3.Connection, _: object) -> None:
    """Tests need not outlive a power cut."""
    connection.execute("PRAGMA synchronous = OFF")


def look_after(connection: socket.socket) -> None:
    """Fork the command, and tell how it has ended; kill it when nobody listens any more."""
    content, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    command = os.fork()
    if command == 0:
        connection.close()
        become(streams, **json.loads(content))
        return
    while True:
        ended, status = os.waitpid(command, os.WNOHANG)
        if ended:
            connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        if select.select([connection], [], [], 0.01)[0]:
            os.killpg(command, signal.SIGKILL)
            os._exit(0)


def become(streams: list[int], *, arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Be the command that was called for; it ends this process as it ends its own."""
    from optrack.search.cli import main as optrack

    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["optrack", *arguments]
    sys.path.insert(0, str(Path(__file__).parent / "faults"))
    importlib.import_module("dying").install()
    optrack()


if __name__ == "__main__":
    main()
