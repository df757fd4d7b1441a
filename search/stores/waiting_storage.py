"""Optuna's storage as a search uses it: a database that goes away, or is locked, is waited for."""

import logging
import math
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import sqlalchemy.event
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from ..errors import StorageFailedError
from ..text import duration
from .addresses import LOCKED, database_server, first_line, is_connection_lost, shown
from .ownership import Ownership

LOG = logging.getLogger("optrack")

# A server that is restarted or moved is back by then; whoever sleeps through it goes on with the next `run`.
PATIENCE_SECONDS = 900.0
PAUSE_SECONDS = 0.5

# How often the lock of a study on a server is looked after: an idle connection may be cut on its way.
RENEWAL_SECONDS = 30.0


class WaitingStorage(RDBStorage):
    """Optuna's storage whose operations are repeated until the database answers.

    Args:
        url: of the database, which must answer now.
        ownership: of the study that is searched, looked after along the way.
        options: of Optuna's storage.
    """

    def __init__(self, url: str, ownership: Ownership | None, **options: Any) -> None:
        self._ownership = ownership
        self._renewed = time.monotonic()
        self._patience = PATIENCE_SECONDS
        self._stopped = False
        super().__init__(url, **options)
        sqlalchemy.event.listen(self.engine, "connect", self._reconnected)

    def stop(self) -> None:
        """Wait no longer. Safe to call from a signal handler."""
        self._stopped = True
        self._patience = 0.0

    def repeated(self, operation: Callable[[], Any]) -> Any:
        """Return what an operation returns, once the database is there; each is a transaction, so all or nothing.

        Raises:
            StorageFailedError: the database stayed away for too long, or it fails for another reason.
            StorageError: another process has taken the study while its server was away.
            KeyboardInterrupt: `stop` was called meanwhile.
        """
        began, failures = time.monotonic(), 0
        while True:
            try:
                self._renew(at_once=failures > 0)
                result = operation()
            except (StorageInternalError, SQLAlchemyError) as error:
                failures += 1
                self._wait(cause_of(error), failures, time.monotonic() - began)
            except UpdateFinishedTrialError:
                if not failures:
                    raise
                return True  # it was stored, and the answer lost
            else:
                if failures > 1:
                    LOG.warning("storage %s answers again", shown(self.url))
                return result

    def _wait(self, error: Exception, failures: int, waited: float) -> None:
        address, problem = shown(self.url), first_line(error, self.url)
        if not self._may_pass(error):
            raise StorageFailedError(f"storage {address} failed: {problem}") from error
        if failures == 1:
            return  # a connection that a restarted server has closed needs neither a pause nor a word
        if self._stopped:
            raise KeyboardInterrupt from error
        if waited >= self._patience:
            self._patience = 0.0
            raise StorageFailedError(f"storage {address} did not answer for {duration(waited)}: {problem}") from error
        if failures == 2:  # noqa: PLR2004 - the first repetition has failed too
            most = duration(self._patience)
            LOG.warning("storage %s does not answer; the search waits for it, up to %s: %s", address, most, problem)
        time.sleep(PAUSE_SECONDS)

    def _reconnected(self, *_: object) -> None:
        """Look after the lock before the next operation: what closed one connection may have closed its own too."""
        self._renewed = -math.inf

    def _renew(self, *, at_once: bool) -> None:
        if self._ownership is not None and (at_once or time.monotonic() - self._renewed > RENEWAL_SECONDS):
            self._ownership.renew()
            self._renewed = time.monotonic()

    def _may_pass(self, error: Exception) -> bool:
        """Return whether an error says that the database is away or locked, and not that it is broken or full."""
        if database_server(self.url) is None:
            return isinstance(error, OperationalError) and LOCKED in str(error)
        return is_connection_lost(error)


def cause_of(error: Exception) -> Exception:
    """Return the database's error behind Optuna's, which says nothing."""
    return (
        error.__cause__ if isinstance(error, StorageInternalError) and isinstance(error.__cause__, Exception) else error
    )


def _repeated(operation: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(operation)
    def waiting(self: WaitingStorage, *arguments: Any, **options: Any) -> Any:
        return self.repeated(partial(operation, self, *arguments, **options))

    return waiting


# What Optuna calls of a storage: its interface, and what its cache asks of a database beside that.
for _name in (*vars(BaseStorage), "_create_new_trial", "_get_best_trial_id", "_get_trials", "_set_trial_param"):
    if _name in vars(RDBStorage) and callable(getattr(RDBStorage, _name)) and not _name.startswith("__"):
        setattr(WaitingStorage, _name, _repeated(getattr(RDBStorage, _name)))
