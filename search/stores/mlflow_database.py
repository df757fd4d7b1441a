"""MLflow's SQLite file: tables made whole or not at all, a write-ahead log, patience, artifacts that follow it."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, cast
from urllib.request import url2pathname

import filelock
import sqlalchemy
from mlflow.store.db import utils as mlflow_tables
from sqlalchemy import Engine, event

from .addresses import BUSY_SECONDS, COLUMNS, make_state_folder, readable, sqlite_path

LOG = logging.getLogger("optrack")

# How long a reader may delay the change to a write-ahead log, which comes with a later command otherwise.
CHANGE_SECONDS = 1.0

ARTIFACTS = "mlruns"
"""The folder for artifacts beside a database, as MLflow names it; below it a folder for each experiment."""

# Where MLflow keeps addresses of artifacts, all of them absolute.
_ADDRESSES = (
    "experiments.artifact_location",
    "runs.artifact_uri",
    "logged_models.artifact_location",
    "model_versions.source",
    "model_versions.storage_location",
    "trace_tags.value",
)


def have_tables(uri: str) -> None:
    """Make MLflow's tables in a SQLite file unless they are there, and let it be read while it is written.

    MLflow makes them in sixty steps, and a process that ends in between leaves a file that MLflow refuses for ever. A
    file that an earlier version left like that is made anew if nothing is recorded in it. Other databases and servers
    look after themselves. Of a file that may only be read, all of this happens to its copy, see `readable`.
    """
    path, file_uri = sqlite_path(uri), readable(uri)
    if path is None:
        return
    if not event.contains(Engine, "before_cursor_execute", _patient):
        event.listen(Engine, "before_cursor_execute", _patient, retval=True)
    with closing(sqlite3.connect(sqlite_path(file_uri) or path, timeout=BUSY_SECONDS)) as file:
        if not _is_whole(file):
            with filelock.FileLock(make_state_folder(file_uri) / "_tracking.lock"):
                if not _is_whole(file):
                    _make(file, path)
        here = path.parent / ARTIFACTS
        for old in _follow(file, here):
            if file_uri == uri:
                LOG.warning("%s came here from %s: the artifacts that it names are now those in %s", path, old, here)
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
    try:
        mlflow_tables._initialize_tables(engine)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        with closing(engine.raw_connection()) as memory:
            cast("sqlite3.Connection", memory.driver_connection).backup(
                file, progress=lambda _status, _left, _total: None
            )  # a call of Python's, so that Ctrl-C ends a wait
    finally:
        engine.dispose()


def _follow(file: sqlite3.Connection, here: Path) -> list[Path]:
    """Let addresses of artifacts lead to those in `here`, where they came with the file; return the old folders."""
    known = {row[0] for row in file.execute(COLUMNS)}
    found = dict(_left_behind(file, here))
    for prefix in found:
        new = f"{here.as_uri() if prefix.startswith('file:') else here}/"
        with file:  # one transaction
            for table, column in (address.split(".") for address in _ADDRESSES if address in known):
                file.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
                    (new, len(prefix) + 1, len(prefix), prefix),
                )
    return [old.parent for old in found.values()]


def _left_behind(file: sqlite3.Connection, here: Path) -> Iterator[tuple[str, Path]]:
    """Yield what addresses of artifacts begin with, and the folder, where those in `here` are meant.

    Artifacts beside a database lie in `mlruns/EXPERIMENT` there. Where the old folder is gone, the database was moved;
    where it is still there with a database beside it, while runs of ours lie in `here`, this one is a copy. A folder
    without a database was chosen for artifacts on purpose, and stays.
    """
    for location, number, name in file.execute("SELECT artifact_location, experiment_id, name FROM experiments"):
        place = _local_path(location)
        if place is None or place.parent.name != ARTIFACTS or place.name not in (name, str(number)):
            continue
        old = place.parent
        is_there = _is_there(old)
        if old.resolve() == here.resolve() or (is_there and _is_there(here) and old.samefile(here)):
            continue
        is_beside = any(_is_run(file, path.name) for path in (here / place.name).glob("*"))
        # MLflow's own folders have the experiment's number; one with its name was made by us, beside the database.
        is_left = is_beside and _has_database(old.parent) if is_there else is_beside or place.name == name
        if is_left:
            yield location[: -len(place.name)], old


def _local_path(address: str | None) -> Path | None:
    """Return the absolute path of an artifact's address; None for what lies elsewhere."""
    address = address or ""
    path = url2pathname(address.removeprefix("file://")) if address.startswith("file:///") else address
    return Path(path) if path.startswith("/") else None


def _is_there(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except PermissionError:  # it is somebody else's
        return False


def _is_run(file: sqlite3.Connection, name: str) -> bool:
    return file.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (name,)).fetchone() is not None


def _has_database(folder: Path) -> bool:
    """Return whether a SQLite file lies in a folder, whatever its name."""
    magic = b"SQLite format 3\0"
    with suppress(PermissionError):
        for path in filter(Path.is_file, folder.iterdir()):
            with suppress(PermissionError), path.open("rb") as file:
                if file.read(len(magic)) == magic:
                    return True
    return False


def _patient(
    connection: object, cursor: object, statement: str, parameters: Any, context: object, executemany: object
) -> tuple[str, Any]:
    """Lengthen the patience that MLflow sets at the beginning of each of its transactions: 20 s."""
    if statement.startswith("PRAGMA busy_timeout"):
        statement = f"PRAGMA busy_timeout = {1000 * BUSY_SECONDS:.0f}"
    return statement, parameters
