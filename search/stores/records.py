"""What optrack keeps in Optuna's database beside Optuna's own tables: studies, epochs as they happen, tracebacks.

As user attributes of studies and trials they would fill the screens of Optuna's own tools, which print all of them.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy import Column, Integer, MetaData, String, Table, Text
from sqlalchemy.exc import IntegrityError

from ...datasets import Prepared
from ..study import EpochResult

STUDY = -1
"""In the place of a trial's number: what is kept of the family as a whole."""

EPOCH_PREFIX = "epoch "

# Of a family: which search it is, the study as it was last run with it, the images, the digest of a user-defined
# network's code, all user-defined code, what it was run with, how that run ended, and the names of all families that
# the study had when any of them was last run.
ID_RECORD = "optrack.id"
STUDY_RECORD = "optrack.study"
DATA_RECORD = "optrack.data"
SOURCE_RECORD = "optrack.source"
FILES_RECORD = "optrack.files"
ENVIRONMENT_RECORD = "optrack.environment"
STATE_RECORD = "optrack.state"
MEMBERS_RECORD = "optrack.families"

# Of a trial: its run in MLflow, and the traceback.
RUN_RECORD = "mlflow_run"
FAILURE_RECORD = "failure"

Kept = Mapping[int, Mapping[str, Any]]
"""What is kept of a family, by trial and name."""

_METADATA = MetaData()
_TABLE = Table(
    "optrack_records",
    _METADATA,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("trial", Integer, primary_key=True, autoincrement=False),
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)


def data_record(data: Prepared) -> dict[str, Any]:
    """Return what is stored of the images with each family, as JSON."""
    return {
        "name": data.name,
        "layout": data.layout,
        "digest": data.digest,
        "split_digest": data.split_digest,
        "input_shape": list(data.input_shape),
        "classes": list(data.classes),
    }


def make_table(storage: RDBStorage) -> None:
    """Make the table of records unless it is there."""
    _METADATA.create_all(storage.engine)


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one family.

    Args:
        engine: of Optuna's storage.
        study_id: Optuna's number of the family's study.
        repeated: does an operation, again and again where the storage waits for its database.
    """

    engine: sqlalchemy.Engine
    study_id: int
    repeated: Callable[[Callable[[], Any]], Any] = lambda operation: operation()

    @classmethod
    def of(cls, storage: RDBStorage, study_name: str) -> "Records":
        """Return the records of an Optuna study."""
        study_id = storage.get_study_id_from_name(study_name)
        return cls(storage.engine, study_id, getattr(storage, "repeated", lambda operation: operation()))

    def read(self, trial: int | None = None) -> Kept:
        """Return everything that is kept, or that of one trial; nothing from a storage of an earlier version."""
        query = sqlalchemy.select(_TABLE.c.trial, _TABLE.c.name, _TABLE.c.value).where(*self._where(trial))

        def rows() -> list[Any]:
            if not sqlalchemy.inspect(self.engine).has_table(_TABLE.name):
                return []
            with self.engine.connect() as connection:
                return list(connection.execute(query))

        found: dict[int, dict[str, Any]] = {}
        for number, name, value in self.repeated(rows):
            found.setdefault(number, {})[name] = json.loads(value)
        return found

    def write(self, values: Mapping[str, Any], trial: int = STUDY) -> None:
        """Keep JSON values by name; each replaces the one before."""
        old = _TABLE.delete().where(*self._where(trial), _TABLE.c.name.in_(values))

        def replaced() -> None:
            with self.engine.begin() as connection:
                connection.execute(old)
                connection.execute(_TABLE.insert(), self._rows(values, trial))

        self.repeated(replaced)

    def write_epoch(self, trial: int, result: EpochResult) -> None:
        """Keep what an epoch measured; when it is repeated, what the first attempt measured stays."""
        values = {f"{EPOCH_PREFIX}{result.epoch}": {"epoch": result.epoch, **result.metrics()}}

        def added() -> None:
            with suppress(IntegrityError), self.engine.begin() as connection:
                connection.execute(_TABLE.insert(), self._rows(values, trial))

        self.repeated(added)

    def identify(self) -> None:
        """Give the family an ID unless it has one: studies of one name in two storages may share an MLflow."""
        if ID_RECORD not in self.read(STUDY).get(STUDY, {}):
            self.write({ID_RECORD: uuid.uuid4().hex})

    def _rows(self, values: Mapping[str, Any], trial: int) -> list[dict[str, Any]]:
        return [
            {"study_id": self.study_id, "trial": trial, "name": name, "value": json.dumps(value)}
            for name, value in values.items()
        ]

    def _where(self, trial: int | None) -> list[sqlalchemy.ColumnElement[bool]]:
        of_study = [_TABLE.c.study_id == self.study_id]
        return of_study if trial is None else [*of_study, _TABLE.c.trial == trial]


def remembering(storage: RDBStorage, study: str) -> Callable[[str, int, str], None]:
    """Return a function of family, trial and run ID that keeps which run in MLflow is a trial's."""

    def remember(family: str, trial: int, run_id: str) -> None:
        Records.of(storage, f"{study}/{family}").write({RUN_RECORD: run_id}, trial)

    return remember


def forget(connection: sqlalchemy.Connection, study_id: int, trial: int) -> None:
    """Remove everything that is kept of a trial."""
    connection.execute(_TABLE.delete().where(_TABLE.c.study_id == study_id, _TABLE.c.trial == trial))


def epochs_of(kept: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what a trial's epochs measured, in their order."""
    found = [value for name, value in kept.items() if name.startswith(EPOCH_PREFIX)]
    return sorted(found, key=lambda value: value["epoch"])
