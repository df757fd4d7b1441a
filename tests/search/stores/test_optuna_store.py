import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState

from optrack.search import Budget, Data, Family, Float, NothingStoredError, StorageError, Study
from optrack.search.coordinator.strategies import suggest
from optrack.search.stores.addresses import check_storage
from optrack.search.stores.optuna_store import (
    open_family,
    open_storage,
    read_storage,
    requeue,
    stored_families,
    stored_names,
    whole_study,
)
from optrack.search.stores.records import STUDY_RECORD

SPACE: dict[str, Any] = {"lr": Float(0.1, 1.0)}


def study_of(name: str = "s", *, metric: Any = "val_accuracy", families: tuple[str, ...] = ("f",)) -> Study:
    return Study(
        name,
        data=Data("digits"),
        metric=metric,
        budget=Budget(trials=3),
        families=[Family(family, architecture="mlp", space=SPACE) for family in families],
    )


def kept(storage: optuna.storages.RDBStorage, study: Study) -> list[optuna.Study]:
    opened = [open_family(storage, study, family) for family in study.families]
    for one in opened:
        one.set_user_attr(STUDY_RECORD, study.to_json())
    return opened


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def in_other_process(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def other_processes() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def test_a_storage_in_a_folder_with_odd_characters_is_opened_again(tmp_path: Path) -> None:
    folder = tmp_path / "50 % ?, #ö"
    folder.mkdir()
    address = sqlalchemy.URL.create("sqlite", database=str(folder / "a b.db")).render_as_string()
    kept(open_storage(address), study_of())
    check_storage(address)
    assert stored_names(read_storage(address)) == ["s"]


def test_nothing_is_stored_before_a_first_run(tmp_path: Path, url: str) -> None:
    (tmp_path / "empty.db").touch()
    for address in (url, f"sqlite:///{tmp_path / 'empty.db'}"):
        with pytest.raises(NothingStoredError, match="`optrack run STUDY` starts a study"):
            read_storage(address)
    assert contents(tmp_path) == {str(tmp_path / "empty.db"): b""}


def test_a_storage_that_is_written_has_a_write_ahead_log(url: str, tmp_path: Path) -> None:
    storage = open_storage(url)
    kept(storage, study_of())
    with storage.engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(sqlalchemy.text("PRAGMA synchronous")).scalar() == 1  # NORMAL
    with closing(sqlite3.connect(tmp_path / "optuna.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_tables_of_another_version_of_optuna_are_refused_in_one_line(url: str) -> None:
    storage = open_storage(url)
    with storage.engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = 'v0.9.0.a'"))
    storage.engine.dispose()
    for use in (open_storage, read_storage):
        with pytest.raises(StorageError) as raised:
            use(url)
        assert "\n" not in str(raised.value)


RUNNER = """
import os, signal, sys
from optrack.search import Study
from optrack.search.coordinator.strategies import suggest
from optrack.search.stores.optuna_store import open_family, open_storage
study = Study.from_json(sys.argv[2])
opened = open_family(open_storage(sys.argv[1]), study, study.families[0])
trial = opened.ask()
print(suggest(trial, study.families[0].space, {})["lr"].hex(), flush=True)
trial.report(0.5, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_trial_of_a_process_that_died_can_be_queued_again_with_its_number_and_configuration(
    url: str, other_processes: list[subprocess.Popen[str]]
) -> None:
    study = study_of()
    runner = in_other_process(RUNNER, url, study.to_json())
    other_processes.append(runner)
    assert runner.wait() == -signal.SIGKILL
    assert runner.stdout is not None
    lr = float.fromhex(runner.stdout.read())
    storage = open_storage(url)
    [opened] = kept(storage, study)
    [running] = opened.get_trials()
    assert running.state == TrialState.RUNNING
    requeue(storage, opened, running.number)
    [waiting] = opened.get_trials()
    assert (waiting.number, waiting.state, waiting.params) == (0, TrialState.WAITING, {"lr": lr})
    trial = opened.ask()
    assert trial.number == 0
    assert suggest(trial, SPACE, {}) == {"lr": lr}
    assert opened.get_trials()[0].intermediate_values == {1: 0.5}


def test_a_trial_is_queued_again_before_new_ones(url: str) -> None:
    storage = open_storage(url)
    [opened] = kept(storage, study_of())
    first = opened.ask()
    values = suggest(first, SPACE, {})
    second = opened.ask()
    suggest(second, SPACE, {})
    requeue(storage, opened, first.number)
    again = opened.ask()
    assert again.number == first.number
    assert suggest(again, SPACE, {}) == values
    assert opened.ask().number == 2


def test_start_configurations_are_queued_once_however_often_a_study_is_opened(url: str) -> None:
    start = [{"lr": 0.5}, {"lr": 0.25}]
    study = Study("s", data=Data("digits"), families=[Family("f", architecture="mlp", space=SPACE, start=start)])
    [opened] = kept(open_storage(url), study)
    [opened] = kept(open_storage(url), study)
    assert [trial.state for trial in opened.get_trials()] == 2 * [TrialState.WAITING]
    trial = opened.ask()
    suggest(trial, SPACE, {})
    opened.tell(trial, 0.5)
    [opened] = kept(open_storage(url), study)
    assert [trial.state for trial in opened.get_trials()] == [TrialState.COMPLETE, TrialState.WAITING]


def test_a_storage_that_is_half_created_is_no_foreign_database(tmp_path: Path, url: str) -> None:
    whole = tmp_path / "whole.db"
    open_storage(f"sqlite:///{whole}")
    with closing(sqlite3.connect(whole)) as connection:
        [first] = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'studies'").fetchone()
    with closing(sqlite3.connect(tmp_path / "optuna.db")) as connection:
        connection.execute(first)
    storage = open_storage(url)
    assert stored_families(storage, "s") == []


@pytest.mark.parametrize("made", range(1, 14))
def test_a_storage_whose_tables_are_not_all_made_holds_nothing_and_is_completed(
    made: int, tmp_path: Path, url: str
) -> None:
    open_storage(url).remove_session()
    with closing(sqlite3.connect(tmp_path / "optuna.db")) as file:
        tables = [
            name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
        ]
        assert len(tables) > made
        for name in tables[made:]:
            file.execute(f"DROP TABLE {name}")
        if "version_info" in tables[:made]:
            file.execute("DELETE FROM version_info")
        file.commit()
    with pytest.raises(NothingStoredError, match="nothing is stored"):
        read_storage(url)
    kept(open_storage(url), study_of())
    assert stored_names(read_storage(url)) == ["s"]


def test_two_processes_that_create_a_storage_at_once_both_have_it(
    url: str, other_processes: list[subprocess.Popen[str]]
) -> None:
    code = "import sys; from optrack.search.stores.optuna_store import open_storage\n"
    code += "open_storage(sys.argv[1]); print('open')"
    other_processes += [in_other_process(code, url) for _ in range(2)]
    assert [process.wait() for process in other_processes] == [0, 0]


@pytest.mark.parametrize(("metric", "best"), [("val_accuracy", 1), ("val_loss", 0)])
def test_the_best_trial_is_the_first_finished_one_with_the_best_value(url: str, metric: str, best: int) -> None:
    storage = open_storage(url)
    [opened] = kept(storage, study_of(metric=metric))
    for value in (0.5, 0.75, 0.75, 0.5):
        opened.tell(opened.ask(), value)
    opened.tell(opened.ask(), state=TrialState.FAIL)
    pruned = opened.ask()
    pruned.report(9.0 if metric == "val_accuracy" else 0.0, 1)
    opened.tell(pruned, state=TrialState.PRUNED)
    [family] = stored_families(storage, "s")
    assert family.best is not None
    assert family.best.number == best
    assert [trial.number for trial in family.ended if trial.value is None] == [4, 5]


def test_a_family_without_a_finished_trial_has_no_best_one(url: str) -> None:
    storage = open_storage(url)
    [opened] = kept(storage, study_of())
    opened.tell(opened.ask(), state=TrialState.FAIL)
    assert stored_families(storage, "s")[0].best is None


def test_stored_studies_and_families_come_in_the_order_in_which_they_were_begun(url: str) -> None:
    storage = open_storage(url)
    kept(storage, study_of("second", families=("z", "a")))
    kept(storage, study_of("sec", families=("m",)))
    optuna.create_study(study_name="somebody's own", storage=storage)
    assert stored_names(storage) == ["second", "sec"]
    assert [family.name for family in stored_families(storage, "second")] == ["z", "a"]
    assert [family.name for family in stored_families(storage, "sec")] == ["m"]
    assert stored_families(storage, "s") == []
    assert stored_families(storage, "second")[0].study == study_of("second", families=("z", "a"))


def test_the_whole_study_has_all_families_as_each_was_last_defined_and_the_rest_of_the_latest_run(url: str) -> None:
    storage = open_storage(url)
    first = replace(study_of(families=("a", "b")), seed=1)
    for opened in kept(storage, first):
        opened.tell(opened.ask(), 0.5)
    # A later run of one family alone, in which its space has become another one.
    wider = Family("b", architecture="mlp", space={"lr": Float(0.1, 2.0)})
    second = replace(study_of(), families=[wider], seed=2, budget=Budget(trials=9))
    [opened] = kept(storage, second)
    opened.tell(opened.ask(), 0.75)
    whole = whole_study(stored_families(storage, "s"))
    assert whole == replace(second, families=[first.families[0], wider])
    third = replace(first, families=[first.families[0]], seed=3)
    [opened] = kept(storage, third)
    opened.tell(opened.ask(), 0.5)
    assert whole_study(stored_families(storage, "s")) == replace(third, families=[first.families[0], wider])


def test_a_study_without_trials_is_whole_too(url: str) -> None:
    storage = open_storage(url)
    study = study_of(families=("z", "a"))
    kept(storage, study)
    assert whole_study(stored_families(storage, "s")) == study


def test_a_study_of_optuna_that_was_made_by_others_is_refused(url: str) -> None:
    storage = open_storage(url)
    theirs = optuna.create_study(study_name="theirs/f", storage=storage)
    assert stored_families(storage, "theirs") == []  # as a process leaves one that dies while it makes it
    theirs.ask()
    with pytest.raises(StorageError, match="'theirs/f' was not made by optrack"):
        stored_families(storage, "theirs")


def test_what_a_killed_process_left_in_the_log_is_read(url: str, tmp_path: Path) -> None:
    storage = open_storage(url)
    kept(storage, study_of())
    with closing(sqlite3.connect(tmp_path / "optuna.db")) as reader:  # so that nobody moves the log into the file
        reader.execute("SELECT * FROM studies").fetchone()
        killed = tmp_path / "killed"
        killed.mkdir()
        for name in ("optuna.db", "optuna.db-wal"):
            shutil.copy(tmp_path / name, killed)
    assert (killed / "optuna.db-wal").stat().st_size > 0
    address = f"sqlite:///{killed / 'optuna.db'}"
    check_storage(address)
    assert stored_names(read_storage(address)) == ["s"]
