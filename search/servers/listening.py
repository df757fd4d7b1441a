"""A page of our own on this machine: its port, and serving it until Ctrl-C."""

import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import ServerError

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

HOST = "127.0.0.1"

_GRACE_SECONDS = 3


@contextmanager
def listener(port: int, *, option: str, name: str | None = None) -> Generator[socket.socket]:
    """Open a socket that only this machine reaches; who connects before anything is served waits.

    Args:
        port: 0 for any that is free.
        option: of our command line that changes the port.
        name: of the server, where there are several.

    Raises:
        ServerError: the port is not available.
    """
    with socket.socket() as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the past do no harm
        try:
            opened.bind((HOST, port))
            opened.listen()
        except OSError as error:
            what, hint = ("", ", 0 for any that is free") if name is None else (f" for {name}", "")
            problem = f"port {port}{what} is not available ({error.strerror})"
            raise ServerError(f"{problem}: choose another with {option}{hint}") from error
        yield opened


@contextmanager
def stop_signals(stop: Callable[[], None]) -> Generator[None]:
    """Have `stop` called on Ctrl-C, a termination signal or the end of the terminal until the block ends."""

    def handle(*_: object) -> None:
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def server_of(app: "ASGIApp") -> "uvicorn.Server":
    """Return a server that says nothing unless it fails."""
    import uvicorn

    from .deadline import DeadlineProtocol

    config = uvicorn.Config(
        app,
        http=DeadlineProtocol,
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return uvicorn.Server(config)


def serve_until_stopped(app: "ASGIApp", opened: socket.socket, *, announce: Callable[[str], None]) -> None:
    """Serve until Ctrl-C, a termination signal, or the end of the terminal; announce the address once one is heard."""
    server = server_of(app)

    def stop() -> None:
        server.should_exit = True

    # The server takes the first two signals while it runs, and then raises them once more for earlier handlers.
    with stop_signals(stop):
        announce(f"http://{HOST}:{opened.getsockname()[1]}")
        server.run(sockets=[opened])
