import threading
import time
from collections.abc import Callable

import pytest

from optrack.search import MlflowAwayError, TrackingError, TrackingFailedError, UnknownHostError
from optrack.search.waiting import waiting as module
from optrack.search.waiting.waiting import Waiting, waited_for, waits

NAME = "MLflow at http://host"
AWAY = f"{NAME} does not answer: refused"


class Server:
    """Fails so often, then answers; or hangs until it is released."""

    def __init__(self, *errors: Exception, hangs: bool = False) -> None:
        self.errors = list(errors)
        self.calls = 0
        self.released = threading.Event()
        if not hangs:
            self.released.set()

    def call(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        self.released.wait(10)
        return "answer"


def away(times: int) -> list[Exception]:
    return [MlflowAwayError(AWAY) for _ in range(times)]


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"PAUSE": 0.005, "QUIET": 0.1, "HURRIED": 0.05, "POLL": 0.005}.items():
        monkeypatch.setattr(module, f"{name}_SECONDS", seconds)


def test_a_call_that_is_answered_is_made_once_without_a_word(lines: list[str]) -> None:
    server = Server()
    assert Waiting(60, lines.append).repeated(server.call, name=NAME) == "answer"
    assert (server.calls, lines) == (1, [])


def test_a_connection_that_was_closed_meanwhile_needs_no_word(lines: list[str]) -> None:
    server = Server(*away(1))
    assert Waiting(0, lines.append).repeated(server.call, name=NAME) == "answer"
    assert (server.calls, lines) == (2, [])


def test_one_line_says_that_it_is_away_and_one_that_it_is_back(lines: list[str]) -> None:
    server = Server(*away(7))
    assert Waiting(900, lines.append).repeated(server.call, name=NAME) == "answer"
    assert server.calls == 8
    assert lines == [f"{AWAY}; waiting for it, up to 15 min", f"{NAME} answers again"]


@pytest.mark.parametrize(("seconds", "end"), [(0.02, "; waited 0 s for it"), (0, "")])
def test_when_the_time_is_over_it_fails_and_so_does_at_once_what_comes_after(
    seconds: float, end: str, lines: list[str]
) -> None:
    waiting, server = Waiting(seconds, lines.append), Server(*away(1000))
    with pytest.raises(TrackingFailedError, match=rf"does not answer: refused{end}$"):
        waiting.repeated(server.call, name=NAME)
    assert len(lines) <= 1
    before = server.calls
    with pytest.raises(TrackingFailedError):
        waiting.repeated(server.call, name=NAME)
    assert server.calls == before


def test_what_does_not_pass_is_not_waited_for(lines: list[str]) -> None:
    server = Server(TrackingError("refused for ever"))
    with pytest.raises(TrackingError, match="for ever"):
        Waiting(60, lines.append).repeated(server.call, name=NAME)
    assert (server.calls, lines) == (1, [])


def test_a_host_that_nobody_knows_is_waited_for_only_where_it_was_known_before(lines: list[str]) -> None:
    waiting = Waiting(60, lines.append)
    with pytest.raises(UnknownHostError):
        waiting.repeated(Server(UnknownHostError("nobody knows it")).call, name=NAME)
    waiting.repeated(Server().call, name=NAME)
    server = Server(*(UnknownHostError("nobody knows it") for _ in range(3)))
    assert waiting.repeated(server.call, name=NAME) == "answer"


def test_a_slow_answer_is_waited_for_with_a_line(lines: list[str]) -> None:
    server = Server(hangs=True)
    threading.Timer(0.2, server.released.set).start()
    assert Waiting(60, lines.append).repeated(server.call, name=NAME) == "answer"
    assert server.calls == 1
    assert lines == [f"{NAME} takes long to answer; waiting for it, up to 1 min", f"{NAME} answers again"]


@pytest.mark.parametrize("moves_files", [False, True])
def test_an_answer_that_does_not_come_ends_the_wait_unless_files_are_moved(
    *, moves_files: bool, lines: list[str]
) -> None:
    server = Server(hangs=True)
    threading.Timer(0.4, server.released.set).start()

    def call() -> str:
        return Waiting(0.15, lines.append).repeated(server.call, name=NAME, moves_files=moves_files)

    if moves_files:
        assert call() == "answer"
    else:
        with pytest.raises(TrackingFailedError, match="did not answer for 0"):
            call()


def stops_soon(waiting: Waiting) -> None:
    threading.Timer(0.05, waiting.stop).start()


@pytest.mark.parametrize("server", [Server(*away(10**6)), Server(hangs=True)], ids=["away", "hangs"])
def test_whoever_asks_to_stop_does_not_wait(server: Server, lines: list[str]) -> None:
    waiting = Waiting(10**6, lines.append)
    stops_soon(waiting)
    with pytest.raises(KeyboardInterrupt):
        waiting.repeated(server.call, name=NAME)
    server.released.set()


def test_what_is_answered_is_still_done_after_a_stop(lines: list[str]) -> None:
    waiting = Waiting(60, lines.append)
    waiting.stop()
    assert waiting.repeated(Server().call, name=NAME) == "answer"


def test_whoever_waits_hears_a_signal_whatever_the_call_does(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(BaseException):
        """What a signal handler raises."""

    server = Server(hangs=True)
    wait = threading.Event.wait

    def interrupted(event: threading.Event, timeout: float | None = None) -> bool:
        if timeout == module.POLL_SECONDS and threading.current_thread() is threading.main_thread():
            raise Interrupted
        return wait(event, timeout)

    monkeypatch.setattr(threading.Event, "wait", interrupted)
    with pytest.raises(Interrupted):
        Waiting(60, lines.append).repeated(server.call, name=NAME)
    server.released.set()


def test_only_the_block_that_says_so_waits_and_no_other_thread(lines: list[str]) -> None:
    def once() -> str:
        return waited_for(Server(*away(5)).call, name=NAME)

    with pytest.raises(MlflowAwayError):
        once()
    found: list[str | BaseException] = []

    def beside(call: Callable[[], str]) -> None:
        try:
            found.append(call())
        except MlflowAwayError as error:
            found.append(error)

    with waits(Waiting(60, lines.append)):
        assert once() == "answer"
        thread = threading.Thread(target=beside, args=(once,))
        thread.start()
        thread.join()
    assert isinstance(found[0], MlflowAwayError)
    with pytest.raises(MlflowAwayError):
        once()


def test_no_line_comes_before_its_time(lines: list[str]) -> None:
    began = time.monotonic()
    server = Server(hangs=True)
    threading.Timer(0.02, server.released.set).start()
    Waiting(60, lines.append).repeated(server.call, name=NAME)
    assert not lines or time.monotonic() - began > module.QUIET_SECONDS
