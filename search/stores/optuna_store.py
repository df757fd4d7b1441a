"""Optuna's storage: open it, read what it holds.

One Optuna study per family, named `STUDY/FAMILY`; the study's own JSON is an attribute of each.
"""

import sqlite3
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import filelock
import optuna
import sqlalchemy.event
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from ..errors import NothingStoredError, StorageError
from ..study import Family, Study
from .addresses import BUSY_SECONDS, check_storage, first_line, has_records, make_state_folder, shown, sqlite_path
from .trials import StoredFamily

STUDY_ATTRIBUTE = "optrack.study"
DATA_ATTRIBUTE = "optrack.data"
SOURCE_ATTRIBUTE = "optrack.source"


def open_storage(url: str) -> RDBStorage:
    """Open a storage, or create it.

    Raises:
        StorageError: as `check_storage`, or tables of another version of Optuna.
    """
    check_storage(url)
    if sqlite_path(url) is None:
        return _connect(url, create=True)
    # Two processes that create the same database at once break each other.
    with filelock.FileLock(make_state_folder(url) / "_storage.lock"):
        return _connect(url, create=True)


def read_storage(url: str) -> RDBStorage:
    """Open a storage that exists, without writing to it.

    Raises:
        NothingStoredError: there is none yet.
        StorageError: as `check_storage`.
    """
    check_storage(url)
    if not has_records(url):
        raise NothingStoredError(f"nothing is stored in {shown(url)} yet: `optrack run STUDY` starts a study")
    return _connect(url, create=False)


def _connect(url: str, *, create: bool) -> RDBStorage:
    on_sqlite = sqlite_path(url) is not None
    arguments = {"connect_args": {"timeout": BUSY_SECONDS}} if on_sqlite else {"pool_pre_ping": True}
    try:
        storage = RDBStorage(url, engine_kwargs=arguments, skip_table_creation=not create)
    except (SQLAlchemyError, RuntimeError, ImportError, ValueError) as error:
        raise StorageError(f"storage {shown(url)} cannot be opened: {first_line(error, url)}") from None
    if on_sqlite and create:
        # Seven times as fast as SQLite's defaults; nothing committed is lost when the process is killed.
        sqlalchemy.event.listen(storage.engine, "connect", _write_ahead)
        storage.engine.dispose()
    return storage


def _write_ahead(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def open_family(storage: RDBStorage, study: Study, family: Family) -> optuna.Study:
    """Return the Optuna study of a family, created unless it exists, with the start configurations enqueued."""
    opened = optuna.create_study(
        study_name=f"{study.name}/{family.name}",
        storage=storage,
        direction="maximize" if study.objective.maximize else "minimize",
        load_if_exists=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        opened.set_metric_names([study.metric])  # the axes of optuna-dashboard
    for values in family.start:
        opened.enqueue_trial(dict(values), skip_if_exists=True)
    return opened


def requeue(storage: BaseStorage, study: optuna.Study, number: int) -> None:
    """Requeue an interrupted trial under its number, with the configuration that it was given."""
    study_id = storage.get_study_id_from_name(study.study_name)
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, number)
    storage.set_trial_state_values(trial_id, TrialState.WAITING)


def stored_names(storage: RDBStorage) -> list[str]:
    """Return the names of all studies in a storage, in the order in which they were created."""
    names = (summary.split("/")[0] for summary in optuna.get_all_study_names(storage) if "/" in summary)
    return list(dict.fromkeys(names))


def stored_families(storage: RDBStorage, study_name: str) -> list[StoredFamily]:
    """Return all families of a study in the order in which they were created; none for a study that is not stored."""
    families: list[StoredFamily] = []
    for name in optuna.get_all_study_names(storage):
        if name.startswith(f"{study_name}/"):
            loaded = optuna.load_study(study_name=name, storage=storage)
            if STUDY_ATTRIBUTE not in loaded.user_attrs:
                raise StorageError(
                    f"Optuna's study {name!r} was not made by optrack: it lacks the attribute {STUDY_ATTRIBUTE}"
                )
            study = Study.from_json(loaded.user_attrs[STUDY_ATTRIBUTE])
            families.append(StoredFamily.read(name.split("/", 1)[1], loaded, study))
    return families


def whole_study(families: Sequence[StoredFamily]) -> Study:
    """Return a stored study with all its families, even those that the last run left out."""
    never = datetime.min  # noqa: DTZ901 - Optuna's times have no zone
    latest = max(families, key=lambda stored: max((trial.started or never for trial in stored.trials), default=never))
    return replace(latest.study, families=[stored.family for stored in families])
