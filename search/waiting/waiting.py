"""A server that is away, slow or locked is waited for: with a line that says so, up to a limit, and left by Ctrl-C.

Each call is made in a thread of its own, so that whoever waits for it hears a signal whatever the call is doing.
"""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..errors import MlflowAwayError, TrackingFailedError, UnknownHostError
from ..text import duration

T = TypeVar("T")

PAUSE_SECONDS = 0.5

QUIET_SECONDS = 10.0
"""How long a call may take without a word."""

HURRIED_SECONDS = 3.0
"""How long a call may take once somebody has asked to stop."""

POLL_SECONDS = 0.1


class Waiting:
    """Repeats calls to MLflow until it answers.

    Args:
        seconds: how long it may stay away at a time; 0 to give up at once.
        notice: called with a line for users, from any thread.
    """

    def __init__(self, seconds: float, notice: Callable[[str], None]) -> None:
        self._seconds = seconds
        self._notice = notice
        self._stopped = threading.Event()
        self._answered = False
        self._end: BaseException | None = None

    def stop(self) -> None:
        """Wait no longer. Safe to call from a signal handler."""
        self._stopped.set()

    def repeated(self, call: Callable[[], T], *, name: str, moves_files: bool = False) -> T:
        """Return what a call returns, once MLflow answers.

        Args:
            call: raises `MlflowAwayError` where it is worth trying again.
            name: of MLflow, in messages.
            moves_files: whether it may take as long as it likes, as it goes on all the time.

        Raises:
            TrackingFailedError: MLflow stayed away for too long, now or before.
            UnknownHostError: there is no such host, and MLflow has not answered before.
            KeyboardInterrupt: `stop` was called meanwhile.
        """
        began, failures, is_told = time.monotonic(), 0, False

        def told(line: str) -> None:
            nonlocal is_told
            if not is_told:
                is_told = True
                self._notice(f"{line}; waiting for it, up to {duration(self._seconds)}")

        while True:
            if self._end is not None:
                raise self._end
            try:
                result = self._watched(call, began, told, name=name, moves_files=moves_files)
            except MlflowAwayError as error:
                failures += 1
                if isinstance(error, UnknownHostError) and not self._answered:
                    raise
                if failures > 1:  # a connection that a restarted server has closed needs neither a pause nor a word
                    self._pause(error, began, told)
            else:
                self._answered = True
                if is_told:
                    self._notice(f"{name} answers again")
                return result

    def _watched(
        self, call: Callable[[], T], began: float, told: Callable[[str], None], *, name: str, moves_files: bool
    ) -> T:
        """Return what a call returns, unless that takes too long."""
        under_way = _Call(call)
        stopped_at: float | None = None
        while not under_way.ended.wait(POLL_SECONDS):
            now = time.monotonic()
            if self._stopped.is_set():
                stopped_at = stopped_at or now
                if now - stopped_at > HURRIED_SECONDS:
                    raise self._ended(KeyboardInterrupt())
            if now - began > QUIET_SECONDS:
                told(f"{name} takes long to answer")
                if not moves_files and now - began > self._seconds:
                    raise self._ended(TrackingFailedError(f"{name} did not answer for {duration(now - began)}"))
        return under_way.result()

    def _pause(self, error: MlflowAwayError, began: float, told: Callable[[str], None]) -> None:
        if self._stopped.is_set():
            raise self._ended(KeyboardInterrupt()) from error
        if time.monotonic() - began >= self._seconds:
            waited = f"; waited {duration(self._seconds)} for it" if self._seconds else ""
            raise self._ended(TrackingFailedError(f"{error}{waited}")) from error
        told(str(error))
        self._stopped.wait(PAUSE_SECONDS)

    def _ended(self, end: BaseException) -> BaseException:
        """Note that nothing is waited for any more, so that what is still to be put away fails at once."""
        self._end = end
        return end


@dataclass(slots=True)
class _Call(Generic[T]):
    """A call in a thread of its own, which is left behind where nobody waits for it any longer."""

    call: Callable[[], T]
    ended: threading.Event = field(default_factory=threading.Event)
    _value: list[T] = field(default_factory=list[T])
    _error: BaseException | None = None

    def __post_init__(self) -> None:
        threading.Thread(target=self._work, name="optrack call", daemon=True).start()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value[0]

    def _work(self) -> None:
        try:
            self._value.append(self.call())
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            self._error = error
        finally:
            self.ended.set()


_NOW: ContextVar[Waiting | None] = ContextVar("waiting", default=None)


def waiting_now() -> Waiting | None:
    """Return how MLflow is waited for in this context; None where it is not: in a search's mirror, or from Python."""
    return _NOW.get()


@contextmanager
def waits(waiting: Waiting) -> Generator[Waiting]:
    """Have MLflow waited for like this in the block, by all that is opened there."""
    token = _NOW.set(waiting)
    try:
        yield waiting
    finally:
        _NOW.reset(token)


def waited_for(call: Callable[[], T], *, name: str, moves_files: bool = False) -> T:
    """Return what a call returns, as `Waiting.repeated`, or at once where MLflow is not waited for."""
    waiting = waiting_now()
    return call() if waiting is None else waiting.repeated(call, name=name, moves_files=moves_files)
