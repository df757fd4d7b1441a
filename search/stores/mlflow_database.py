"""MLflow's SQLite file: tables made whole or not at all, a write-ahead log, patience with other processes."""

import logging
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, cast

import filelock
import sqlalchemy
from mlflow.store.db import utils as mlflow_tables
from sqlalchemy import Engine, event

from .addresses import BUSY_SECONDS, make_state_folder, sqlite_path

LOG = logging.getLogger("optrack")

# How long a reader may delay the change to a write-ahead log, which comes with a later command otherwise.
CHANGE_SECONDS = 1.0


def have_tables(uri: str) -> None:
    """Make MLflow's tables in a SQLite file unless they are there, and let it be read while it is written.

    MLflow makes them in sixty steps, and a process that ends in between leaves a file that MLflow refuses for ever. A
    file that an earlier version left like that is made anew if nothing is recorded in it. Other databases and servers
    look after themselves.
    """
    path = sqlite_path(uri)
    if path is None:
        return
    if not event.contains(Engine, "before_cursor_execute", _patient):
        event.listen(Engine, "before_cursor_execute", _patient, retval=True)
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as file:
        if not _is_whole(file):
            with filelock.FileLock(make_state_folder(uri) / "_tracking.lock"):
                if not _is_whole(file):
                    _make(file, path)
        with suppress(sqlite3.OperationalError):  # it is being read, or may not be written
            file.execute(f"PRAGMA busy_timeout = {1000 * CHANGE_SECONDS:.0f}")
            file.execute("PRAGMA journal_mode = WAL")


def _is_whole(file: sqlite3.Connection) -> bool:
    """Return whether MLflow can use the tables, or records stand in them: what becomes of these, MLflow decides."""
    tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables or file.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        return bool(tables)  # the log came after the tables
    records = {"runs": "1", "registered_models": "1", "experiments": "experiment_id <> 0"}
    for table, condition in records.items():
        if table in tables and file.execute(f"SELECT 1 FROM {table} WHERE {condition} LIMIT 1").fetchone():  # noqa: S608
            return True
    revision = "alembic_version" in tables and file.execute("SELECT version_num FROM alembic_version").fetchone()
    return revision == (mlflow_tables._get_latest_schema_revision(),)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def _make(file: sqlite3.Connection, path: Path) -> None:
    """Make the tables in memory, in half the time, and write them in one transaction over what is there."""
    if path.stat().st_size:
        LOG.warning("%s was left half made, with nothing recorded in it: MLflow's tables are made anew", path)
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.StaticPool)
    mlflow_tables._initialize_tables(engine)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    with closing(engine.raw_connection()) as memory:
        cast("sqlite3.Connection", memory.driver_connection).backup(
            file, progress=lambda _status, _left, _total: None
        )  # a call of Python's, so that Ctrl-C ends a wait
    engine.dispose()


def _patient(
    connection: object, cursor: object, statement: str, parameters: Any, context: object, executemany: object
) -> tuple[str, Any]:
    """Lengthen the patience that MLflow sets at the beginning of each of its transactions: 20 s."""
    if statement.startswith("PRAGMA busy_timeout"):
        statement = f"PRAGMA busy_timeout = {1000 * BUSY_SECONDS:.0f}"
    return statement, parameters
