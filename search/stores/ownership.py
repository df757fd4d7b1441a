"""Who owns a study: one process at a time adds to it, whatever machine and folder it runs in."""

import hashlib
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from ..errors import StorageError
from .addresses import check_writable, database_server, first_line, make_state_folder, shown

OTHER = "another process"

TAKE = {"postgresql": "SELECT pg_try_advisory_lock(:key)", "mysql": "SELECT GET_LOCK(CONCAT('optrack ', :key), 0)"}
"""The statement that takes a lock for as long as its connection lasts, by the kind of server."""

HOLDER = {
    "postgresql": (
        "SELECT a.application_name, a.backend_start FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) "
        "WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database() "
        "AND (CAST(l.classid AS bigint) << 32) + CAST(l.objid AS bigint) = :key"
    ),
    "mysql": (
        "SELECT CONCAT('optrack: a process at ', HOST), NULL FROM information_schema.PROCESSLIST "
        "WHERE ID = IS_USED_LOCK(CONCAT('optrack ', :key))"
    ),
}
"""The query for who holds it, and since when, as far as a server tells us."""

# A server forgets an owner whose machine is gone after a minute; the name tells the others who it is.
INTRODUCTION = (
    "SELECT set_config('application_name', :name, false), set_config('tcp_keepalives_idle', '30', false), "
    "set_config('tcp_keepalives_interval', '10', false), set_config('tcp_keepalives_count', '3', false)"
)
NAME_PREFIX = "optrack: "


class Ownership:
    """A study that this process owns; a database server that keeps it holds a lock beside the one of the file system.

    Raises:
        StorageError: another process owns it, or the server does not answer.
    """

    def __init__(self, url: str, study: str) -> None:
        self._url = url
        self._study = study
        self._server = database_server(url)
        self._key = int.from_bytes(hashlib.sha256(f"{sqlalchemy.make_url(url).database}/{study}".encode()).digest()[:7])
        self._connection: sqlalchemy.Connection | None = None
        try:
            holder, since = self._take()
        except (SQLAlchemyError, ImportError) as error:
            raise StorageError(f"storage {shown(url)} cannot be opened: {first_line(error, url)}") from None
        if holder is not None:
            raise _is_taken(study, holder, since)

    def renew(self) -> None:
        """Take the server's lock again if the connection that held it is gone, as after a restart of the server.

        Raises:
            StorageError: another process has taken it meanwhile.
            SQLAlchemyError: the server does not answer.
        """
        try:
            if self._connection is not None:
                self._connection.execute(sqlalchemy.text("SELECT 1"))
                return
        except SQLAlchemyError:
            self.release()
        holder, since = self._take()
        # The server may not have noticed yet that our own connection is gone; the next time it has.
        if holder not in (None, _me()):
            raise _is_taken(self._study, holder, since)

    def release(self) -> None:
        """Give the server's lock back."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _take(self) -> tuple[str | None, datetime | None]:
        """Take the server's lock, if it is one that has locks; return who holds it instead, and since when."""
        if self._server not in TAKE:
            return None, None
        engine = sqlalchemy.create_engine(self._url, poolclass=sqlalchemy.NullPool, isolation_level="AUTOCOMMIT")
        connection = engine.connect()
        try:
            if self._server == "postgresql":
                _row(connection, INTRODUCTION, name=f"{NAME_PREFIX}{_me()}")
            if _row(connection, TAKE[self._server], key=self._key)[0]:
                self._connection = connection
                return None, None
            name, since = _row(connection, HOLDER[self._server], key=self._key)
        finally:
            if self._connection is None:
                connection.close()
        return str(name).removeprefix(NAME_PREFIX) if str(name).startswith(NAME_PREFIX) else OTHER, since


def _row(connection: sqlalchemy.Connection, query: str, **values: object) -> Any:
    return connection.execute(sqlalchemy.text(query), values).first() or (None, None)


@contextmanager
def owned(url: str, study: str) -> Generator[Ownership]:
    """Own a study: only one process at a time may add to it.

    The operating system holds the lock, and a database server beside it: both release it when the process ends, however
    it ends. For a SQLite file the lock lies beside the file itself, wherever links to it lie.

    Raises:
        StorageError: another process owns it, or it may only be read here.
    """
    check_writable(url)
    path = make_state_folder(url) / f"{study}.lock"
    owner = path.with_suffix(".owner")
    lock = filelock.FileLock(path)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise _is_taken(study, *_read(owner)) from None
    try:
        owner.write_text(f"{_me()}\n{datetime.now(UTC).isoformat()}")
        ownership = Ownership(url, study)
        try:
            yield ownership
        finally:
            ownership.release()
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _me() -> str:
    """Return how this process is named to others, within the 63 bytes that PostgreSQL keeps of a name."""
    return f"process {os.getpid()} on host {socket.gethostname()}"[: 63 - len(NAME_PREFIX)]


def _read(owner: Path) -> tuple[str, datetime | None]:
    """Return which process wrote the file, and when; it may be about to be written or removed."""
    try:
        holder, since = owner.read_text().split("\n")
        return holder, datetime.fromisoformat(since)
    except (OSError, ValueError):
        return OTHER, None


def _is_taken(study: str, holder: str, since: datetime | None) -> StorageError:
    when = f" since {since.astimezone():%Y-%m-%d %H:%M:%S}" if since else ""
    return StorageError(f"study {study!r} is being run by {holder}{when}: wait for it, or end it")
