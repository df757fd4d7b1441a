"""What trainings leave to be recorded, written in a thread of its own: no training waits for MLflow."""

import threading
from collections import deque
from collections.abc import Callable


class Writing:
    """Does one write after the other, in the order in which they were given; the first that fails is the last one.

    Args:
        on_failure: called when a write has failed, in the thread.
    """

    def __init__(self, on_failure: Callable[[], None]) -> None:
        self._on_failure = on_failure
        self._writes = deque[Callable[[], None]]()
        self._changed = threading.Condition()
        self._is_busy = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def add(self, write: Callable[[], None]) -> None:
        """Have something written, and return at once."""
        with self._changed:
            self._writes.append(write)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="optrack writing", daemon=True)
                self._thread.start()

    def finish(self) -> None:
        """Wait until everything is written.

        Raises:
            BaseException: what a write has raised; what came after it is not written.
        """
        with self._changed:
            self._changed.wait_for(lambda: not (self._writes or self._is_busy))
            if self._error is not None:
                raise self._error

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._writes)
                write, self._is_busy = self._writes.popleft(), True
            try:
                if self._error is None:
                    write()
            except BaseException as error:  # noqa: BLE001 - whoever calls `finish` gets it
                self._error = error
                self._on_failure()
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
