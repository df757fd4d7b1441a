"""The mirror beside a search: a thread that writes to MLflow what changes, and is waited for only at the end."""

import threading
import time
from collections.abc import Callable, Sequence

from optuna.storages import RDBStorage

from ..errors import TrackingError
from ..stores import StoredFamily, stored_family, stored_trial
from ..text import plural
from .reconciler import Reconciler

PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds until MLflow is asked again after it has not answered so often in a row; the last one from then on."""

QUIET_SECONDS = 2.0
"""How long the end of a search waits for MLflow without a word."""

PATIENT_SECONDS = 60.0
"""How long it waits while MLflow answers."""

HURRIED_SECONDS = 3.0
"""How long it waits where MLflow does not answer, or somebody has asked to stop."""

POLL_SECONDS = 0.1

Change = tuple[str, int | None]
"""A family and the number of its trial that has changed; None for the family itself."""


class LiveMirror:
    """Keeps MLflow equal to Optuna's storage while a study runs; what MLflow misses while it is away is written later.

    Args:
        storage: Optuna's.
        study: name of the study.
        opened: called in the mirror's thread, as it imports MLflow: returns what writes.
        notice: called there with a line for users.
    """

    def __init__(
        self,
        *,
        storage: RDBStorage,
        study: str,
        opened: Callable[[], Reconciler],
        notice: Callable[[str], None],
    ) -> None:
        self._storage = storage
        self._study = study
        self._opened = opened
        self._notice = notice
        self._families: Sequence[str] = ()
        self._stored: dict[str, StoredFamily] = {}
        self._changes: dict[Change, None] = {}
        self._under_way: dict[Change, None] = {}
        self._condition = threading.Condition()
        self._closing = False
        self._reconciler: Reconciler | None = None
        self._failures = 0
        self._thread = threading.Thread(target=self._work, name="optrack mirror", daemon=True)

    def start(self, families: Sequence[str]) -> None:
        """Mend these families of the study, which are stored by now, and from then on write what changes in them."""
        self._families = families
        self._thread.start()

    def changed(self, family: str, trial: int | None = None) -> None:
        """Note that a trial, or the family itself, has changed in Optuna's storage; return at once."""
        with self._condition:
            self._changes[family, trial] = None
            self._condition.notify()

    def close(self, is_hurried: Callable[[], bool] = lambda: False) -> None:
        """Wait until everything is written, but not for long, and say what is not.

        Args:
            is_hurried: whether somebody has asked to stop, and waits.
        """
        if not self._thread.is_alive():
            return
        with self._condition:
            self._closing = True
            self._condition.notify()
        begun = time.monotonic()
        is_told = False
        while self._thread.is_alive():
            waited = time.monotonic() - begun
            if waited > (HURRIED_SECONDS if is_hurried() or self._failures else PATIENT_SECONDS):
                break
            if waited > QUIET_SECONDS and not is_told:
                is_told = True
                self._notice("MLflow is still being written")
            self._thread.join(POLL_SECONDS)
        with self._condition:
            waiting = {*self._changes, *self._under_way}
        if waiting:
            trials = plural(sum(number is not None for _, number in waiting), "trial")
            self._notice(f"waiting for MLflow: {trials}; `optrack sync {self._study}` writes them")

    def _work(self) -> None:
        while not self._keeps_up():
            pause = PAUSES[min(self._failures, len(PAUSES)) - 1]
            with self._condition:
                is_closing = self._condition.wait_for(lambda: self._closing, pause)
            if is_closing:
                self._keeps_up()  # for the last time
                return

    def _keeps_up(self) -> bool:
        """Write what changes until the mirror is closed; False where MLflow does not answer."""
        try:
            self._reconciler = self._reconciler or self._mended()
            while (change := self._next()) is not None:
                self._write(self._reconciler, *change)
        except Exception as error:  # noqa: BLE001 - whatever breaks here must not break the search
            with self._condition:
                self._changes = {**self._under_way, **self._changes}
            self._reconciler = None
            self._failures += 1
            if self._failures == 1:
                is_ours = isinstance(error, TrackingError)
                reason = str(error) if is_ours else f"MLflow cannot be written ({type(error).__name__}: {error})"
                self._notice(f"{reason}; the search goes on")
            return False
        return True

    def _mended(self) -> Reconciler:
        """Return a reconciler for which all runs are equal to what is stored."""
        reconciler = self._opened()
        with self._condition:
            self._under_way, self._changes = {**self._under_way, **self._changes}, {}
        for family in self._families:
            self._stored[family] = stored_family(self._storage, f"{self._study}/{family}")
            reconciler.study(self._stored[family])
        if self._failures:
            self._failures = 0
            self._notice("MLflow answers again")
        reconciler.mended.written -= self._under_way.keys()  # this search has just made them
        for line in reconciler.mended.lines(self._study):
            self._notice(line)
        return reconciler

    def _next(self) -> Change | None:
        """Wait for a change; None once the mirror is closed and all are written."""
        with self._condition:
            self._under_way = {}
            self._condition.wait_for(lambda: self._changes or self._closing)
            change = next(iter(self._changes), None)
            if change is not None:
                del self._changes[change]
                self._under_way = {change: None}
        return change

    def _write(self, reconciler: Reconciler, family: str, trial: int | None) -> None:
        name = f"{self._study}/{family}"
        if trial is None:
            self._stored[family] = stored_family(self._storage, name)
            reconciler.family(self._stored[family])
        else:
            reconciler.trial(self._stored[family], stored_trial(self._storage, name, trial))
