import inspect
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import _cached_storage
from optuna.trial import TrialState
from sqlalchemy import event

from optrack.search import NothingStoredError, StorageError
from optrack.search.errors import StorageFailedError
from optrack.search.stores import optuna_store, waiting_storage
from optrack.search.stores.optuna_store import open_storage, read_storage, stored_names
from optrack.search.stores.ownership import owned
from optrack.search.stores.waiting_storage import WaitingStorage


@pytest.fixture
def study(url: str, monkeypatch: pytest.MonkeyPatch) -> optuna.Study:
    """A study in a SQLite file whose lock is waited for by the storage alone."""
    monkeypatch.setattr(optuna_store, "LOCK_SECONDS", 0.01)
    return optuna.create_study(storage=open_storage(url))


@pytest.fixture
def writer(study: optuna.Study, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process that has the file for itself."""
    with closing(sqlite3.connect(tmp_path / "optuna.db")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def storage_of(study: optuna.Study) -> WaitingStorage:
    inside: Any = study
    return inside._storage._backend


def sleeping(monkeypatch: pytest.MonkeyPatch, *events: Any) -> list[float]:
    """Let things happen while the storage sleeps, one each time."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) <= len(events):
            events[len(slept) - 1]()

    monkeypatch.setattr(waiting_storage.time, "sleep", sleep)
    return slept


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "optrack"]


def nothing() -> None:
    pass


def test_all_that_optunas_cache_asks_of_a_database_is_repeated() -> None:
    asked = set(re.findall(r"self\._backend\.(\w+)\(", inspect.getsource(_cached_storage)))
    asked -= {"_get_stale_trial_ids", "record_heartbeat", "get_heartbeat_interval"}  # heartbeats need `optimize`
    asked -= {"get_heartbeat_stale_trial_callback"}
    assert len(asked) > 15
    assert {name for name in asked if name not in vars(WaitingStorage)} == set()


def test_a_locked_file_is_waited_for_with_a_line(
    study: optuna.Study,
    url: str,
    writer: sqlite3.Connection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    slept = sleeping(monkeypatch, nothing, nothing, writer.rollback)
    study.set_user_attr("a", 1)
    assert len(slept) == 3
    problem = "(sqlite3.OperationalError) database is locked"
    assert lines(caplog) == [
        f"storage {url} does not answer; the search waits for it, up to 15 min: {problem}",
        f"storage {url} answers again",
    ]
    assert optuna.load_study(study_name=study.study_name, storage=url).user_attrs == {"a": 1}


def test_nobody_is_waited_for_once_it_is_stopped(
    study: optuna.Study, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = sleeping(monkeypatch, storage_of(study).stop)
    with pytest.raises(KeyboardInterrupt):
        study.set_user_attr("a", 1)
    with pytest.raises(KeyboardInterrupt):
        study.set_user_attr("a", 2)
    assert len(slept) == 1
    writer.rollback()
    study.set_user_attr("a", 3)


def test_patience_ends_once(
    study: optuna.Study, url: str, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_of(study), "_patience", 1e-9)
    slept = sleeping(monkeypatch)
    for _ in range(2):
        with pytest.raises(StorageFailedError, match=re.escape(f"storage {url} did not answer for ")) as raised:
            study.set_user_attr("a", 1)
        assert "database is locked" in str(raised.value)
        assert "\n" not in str(raised.value)
    assert slept == []
    writer.rollback()


def test_what_waiting_does_not_mend_is_said_at_once(study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    storage = storage_of(study)
    event.listen(storage.engine, "connect", full)
    storage.engine.dispose()
    slept = sleeping(monkeypatch)
    with pytest.raises(StorageFailedError, match=r"failed: \(sqlite3.OperationalError\) database or disk is full$"):
        study.set_user_attr("a", "b" * 100_000)
    assert slept == []


def test_a_database_that_nothing_was_ever_stored_in_is_read_as_empty(postgres_url: str) -> None:
    with pytest.raises(NothingStoredError, match=r"nothing is stored in postgresql://.* yet: `optrack run STUDY`"):
        read_storage(postgres_url)
    open_storage(postgres_url).engine.dispose()
    storage = read_storage(postgres_url)
    assert stored_names(storage) == []
    storage.engine.dispose()


def test_a_trial_goes_through_while_its_server_is_restarted(
    postgres_url: str,
    postgres: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    with owned(postgres_url, "s") as ownership:
        storage = open_storage(postgres_url, ownership)
        study = optuna.create_study(storage=storage)
        restart = (postgres.stop, postgres.start)
        for act in restart:
            act()
        trial = study.ask()  # a restart that is over takes no wait
        assert lines(caplog) == []
        trial.suggest_float("x", 0, 1)
        monkeypatch.chdir(elsewhere)
        with pytest.raises(StorageError, match="'s' is being run by process"):  # its lock was taken again
            owned(postgres_url, "s").__enter__()
        postgres.stop()
        slept = sleeping(monkeypatch, nothing, postgres.start)
        trial.report(0.5, 1)
        assert len(slept) == 2
        for act in restart:
            act()
        study.tell(trial, 0.5)
        assert [(each.number, each.state, each.value) for each in study.trials] == [(0, TrialState.COMPLETE, 0.5)]
        assert study.trials[0].intermediate_values == {1: 0.5}
        waits, answers = lines(caplog)
        assert "does not answer; the search waits for it, up to 15 min: (psycopg.OperationalError)" in waits
        assert answers.endswith("answers again")
        storage.engine.dispose()


def test_a_study_that_was_taken_while_its_server_was_away_is_given_up(
    study: optuna.Study, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Taken:
        def renew(self) -> None:
            raise StorageError("study 's' is being run by another process")

    monkeypatch.setattr(storage_of(study), "_ownership", Taken())
    with pytest.raises(StorageError, match="another process"):
        study.set_user_attr("a", 1)
    writer.rollback()


def test_two_processes_that_create_a_storage_on_a_server_at_once_both_have_it(postgres_url: str) -> None:
    code = "import sys; from optrack.search.stores.optuna_store import open_storage; open_storage(sys.argv[1])"
    command = [sys.executable, "-c", code, postgres_url]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
