import os
import signal
import socket
from typing import Any

import pytest

from optrack.search.errors import ServerError
from optrack.search.servers.listening import listener, serve_until_stopped


async def nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    """An application that nobody asks."""


def test_a_port_in_use_is_said_with_the_option_that_changes_it() -> None:
    with listener(0, option="--port") as opened:
        port = opened.getsockname()[1]
        with pytest.raises(ServerError, match=rf"port {port} is not available \(.+\): choose another with --port"):
            listener(port, option="--port").__enter__()


def test_only_this_machine_reaches_it_and_the_port_is_free_afterwards() -> None:
    with listener(0, option="--port") as opened:
        host, port = opened.getsockname()
        assert host == "127.0.0.1"
        socket.create_connection((host, port)).close()  # it waits until something is served
    with listener(port, option="--port"):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_from_the_announcement_on_and_is_ours_again_afterwards(number: int) -> None:
    before = signal.getsignal(number)
    announced: list[str] = []

    def announce(address: str) -> None:
        announced.append(address)
        os.kill(os.getpid(), number)

    with listener(0, option="--port") as opened:
        port = opened.getsockname()[1]
        serve_until_stopped(nothing, opened, announce=announce)
    assert announced == [f"http://127.0.0.1:{port}"]
    assert signal.getsignal(number) is before
