"""Optuna's storage: open it, read what it holds. There is one Optuna study per family, named `STUDY/FAMILY`."""

import json
import sqlite3
import time
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import filelock
import optuna
import sqlalchemy.event
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from ..errors import NothingStoredError, StorageError
from ..study import Family, Study
from .addresses import (
    BUSY_SECONDS,
    check_storage,
    first_line,
    has_records,
    make_state_folder,
    readable,
    shown,
    sqlite_path,
)
from .ownership import Ownership
from .records import MEMBERS_RECORD, STUDY, STUDY_RECORD, Kept, Records, forget, make_table
from .trials import DEATHS_ATTRIBUTE, PLANNED_ATTRIBUTE, StoredFamily, Trial, compared_study, trial_of
from .waiting_storage import WaitingStorage, cause_of

# How long SQLite waits for a lock during a search, deaf to Ctrl-C; `WaitingStorage` waits for what takes longer.
LOCK_SECONDS = 1.0


def open_storage(url: str, ownership: Ownership | None = None) -> WaitingStorage:
    """Open a storage, or create it; its operations wait for a database that goes away.

    Args:
        url: of the database.
        ownership: of the study that is searched, looked after along the way.

    Raises:
        StorageError: as `check_storage`, or tables of another version of Optuna.
    """
    check_storage(url)
    if sqlite_path(url) is None:
        return _created(url, ownership)
    # Two processes that create the same database at once break each other.
    with filelock.FileLock(make_state_folder(url) / "_storage.lock"):
        return _created(url, ownership)


def read_storage(url: str) -> RDBStorage:
    """Open a storage that exists, without writing to it.

    Raises:
        NothingStoredError: there is none yet.
        StorageError: as `check_storage`.
    """
    check_storage(url)
    if not has_records(url) or not _has_tables(url):
        raise NothingStoredError(f"nothing is stored in {shown(url)} yet: `optrack run STUDY` starts a study")
    with _problems_of(url):
        return RDBStorage(readable(url), engine_kwargs=_engine_options(url), skip_table_creation=True)


def _created(url: str, ownership: Ownership | None, attempts: int = 5) -> WaitingStorage:
    try:
        with _problems_of(url):
            storage = WaitingStorage(url, ownership, engine_kwargs=_engine_options(url))
    except StorageError:
        if sqlite_path(url) is not None or attempts == 1:
            raise
        # Another process may be creating the tables on the same server.
        time.sleep(1)
        return _created(url, ownership, attempts - 1)
    make_table(storage)
    if sqlite_path(url) is not None:
        # Seven times as fast as SQLite's defaults; nothing committed is lost when the process is killed.
        sqlalchemy.event.listen(storage.engine, "connect", _write_ahead)
        storage.engine.dispose()
    return storage


def _engine_options(url: str) -> dict[str, Any]:
    return {"connect_args": {"timeout": BUSY_SECONDS}} if sqlite_path(url) is not None else {"pool_pre_ping": True}


@contextmanager
def _problems_of(url: str) -> Generator[None]:
    """Turn what goes wrong while a storage is opened into our error."""
    try:
        yield
    except (SQLAlchemyError, OptunaError, RuntimeError, ImportError, ValueError) as error:
        raise StorageError(f"storage {shown(url)} cannot be opened: {first_line(cause_of(error), url)}") from None


def _has_tables(url: str) -> bool:
    """Return whether Optuna has made all of its tables: its version is the last that it writes of them."""
    engine = sqlalchemy.create_engine(readable(url), poolclass=sqlalchemy.NullPool, **_engine_options(url))
    with _problems_of(url), engine.connect() as connection:
        is_there = sqlalchemy.inspect(connection).has_table("version_info")
        return is_there and connection.execute(sqlalchemy.text("SELECT 1 FROM version_info")).first() is not None


def _write_ahead(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA busy_timeout = {1000 * LOCK_SECONDS:.0f}")


def open_family(storage: RDBStorage, study: Study, family: Family) -> optuna.Study:
    """Return the Optuna study of a family, created unless it exists, with the start configurations enqueued.

    A configuration is enqueued again where only trials of another number of epochs have it.
    """
    opened = optuna.create_study(
        study_name=f"{study.name}/{family.name}",
        storage=storage,
        direction="maximize" if study.objective.maximize else "minimize",
        load_if_exists=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        opened.set_metric_names([study.metric])  # the axes of optuna-dashboard
    compared = compared_study(opened, study.budget.epochs)
    for values in family.start:
        compared.enqueue_trial(dict(values), skip_if_exists=True)
    return opened


def requeue(storage: BaseStorage, study: optuna.Study, number: int) -> None:
    """Requeue an interrupted trial under its number, with the configuration that it was given."""
    study_id = storage.get_study_id_from_name(study.study_name)
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, number)
    storage.set_trial_state_values(trial_id, TrialState.WAITING)


def start_over(storage: RDBStorage, study: Study, *, failed: bool) -> None:
    """Requeue trials of a study's families under their numbers, as if they had not been trained.

    These are interrupted ones that were to train another number of epochs, as their schedule does not go on, and the
    failed ones if asked. Optuna changes no trial that has ended, and takes back no epoch, so this changes its tables,
    before anything is read out of them.
    """
    names = ("studies", "trials", "trial_intermediate_values", "trial_user_attributes")
    found = sqlalchemy.MetaData()
    found.reflect(storage.engine, only=names)
    studies, trials, values, attributes = (found.tables[name] for name in names)
    families = [f"{study.name}/{family.name}" for family in study.families]
    query = sqlalchemy.select(trials.c.trial_id, trials.c.study_id, trials.c.number)
    query = query.join(studies, studies.c.study_id == trials.c.study_id)
    is_planned = (attributes.c.trial_id == trials.c.trial_id) & (attributes.c.key == PLANNED_ATTRIBUTE)
    query = query.outerjoin(attributes, is_planned).where(studies.c.study_name.in_(families))
    interrupted = trials.c.state.in_([TrialState.WAITING.name, TrialState.RUNNING.name])
    chosen = interrupted & (attributes.c.value_json != json.dumps(study.budget.epochs))
    query = query.where(chosen | (trials.c.state == TrialState.FAIL.name) if failed else chosen)
    with storage.engine.begin() as connection:
        found_trials = connection.execute(query).all()
        again = [trial_id for trial_id, _, _ in found_trials]
        for _, study_id, number in found_trials:
            forget(connection, study_id, number)
        outcome = attributes.c.key.in_(["epochs", "best_epoch", "reason", DEATHS_ATTRIBUTE, PLANNED_ATTRIBUTE])
        connection.execute(values.delete().where(values.c.trial_id.in_(again)))
        connection.execute(attributes.delete().where(attributes.c.trial_id.in_(again), outcome))
        waiting = {"state": TrialState.WAITING.name, "datetime_complete": None}
        connection.execute(trials.update().where(trials.c.trial_id.in_(again)).values(waiting))


def stored_names(storage: RDBStorage) -> list[str]:
    """Return the names of all studies in a storage, in the order in which they were created."""
    names = (summary.split("/")[0] for summary in optuna.get_all_study_names(storage) if "/" in summary)
    return list(dict.fromkeys(names))


def stored_families(storage: RDBStorage, study_name: str, *, removed: bool = False) -> list[StoredFamily]:
    """Return all families of a study in the order in which they were created; none for a study that is not stored.

    Those that the study has not any more are left out, unless `removed` asks for them too.
    """
    names = [name for name in optuna.get_all_study_names(storage) if name.startswith(f"{study_name}/")]
    loaded = [_loaded(storage, name) for name in names]
    families = [StoredFamily.read(study, kept) for study, kept in loaded if not _is_half_made(study, kept)]
    return [family for family in families if removed or not family.is_removed]


def note_members(storage: RDBStorage, families: Sequence[StoredFamily], members: Sequence[str]) -> None:
    """Note with each of a study's stored families which families the study has now."""
    for family in families:
        if family.kept.get(MEMBERS_RECORD) != list(members):
            records = Records.of(storage, family.optuna_study.study_name)
            records.identify()  # earlier versions did not
            records.write({MEMBERS_RECORD: list(members)})


def stored_family(storage: RDBStorage, name: str) -> StoredFamily:
    """Return a family by the name `STUDY/FAMILY` of its Optuna study."""
    return StoredFamily.read(*_loaded(storage, name))


def _loaded(storage: RDBStorage, name: str) -> tuple[optuna.Study, Kept]:
    return optuna.load_study(study_name=name, storage=storage), Records.of(storage, name).read()


def _is_half_made(study: optuna.Study, kept: Kept) -> bool:
    """Whether the process died that made a study: nothing is known of it, and none of its trials began."""
    is_described = STUDY_RECORD in {**study.user_attrs, **kept.get(STUDY, {})}
    return not is_described and all(trial.state == TrialState.WAITING for trial in study.get_trials(deepcopy=False))


def stored_trial(storage: RDBStorage, name: str, number: int) -> Trial:
    """Return one trial of a family, which is given by the name `STUDY/FAMILY` of its Optuna study."""
    trial_id = storage.get_trial_id_from_study_id_trial_number(storage.get_study_id_from_name(name), number)
    return trial_of(storage.get_trial(trial_id), Records.of(storage, name).read(number).get(number, {}))


def whole_study(families: Sequence[StoredFamily]) -> Study:
    """Return a stored study with all its families, even those that the last run left out."""
    never = datetime.min  # noqa: DTZ901 - Optuna's times have no zone
    latest = max(families, key=lambda stored: max((trial.started or never for trial in stored.trials), default=never))
    return replace(latest.study, families=[stored.family for stored in families])
