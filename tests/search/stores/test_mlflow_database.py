import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
import sqlalchemy

from optrack.search.stores import mlflow_database
from optrack.search.stores.addresses import check_tracking
from optrack.search.stores.mlflow_database import have_tables
from optrack.search.stores.mlflow_store import client

# MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a file that is not there yet, in a folder of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder / "mlflow.db"


@pytest.fixture
def whole(path: Path, empty_mlflow: Path) -> Path:
    """A file as MLflow itself makes it."""
    shutil.copy(empty_mlflow, path)
    return path


def schema(path: Path) -> set[tuple[object, ...]]:
    """Each table's and index's name and columns; the order of constraints is chance in MLflow's own."""
    columns = 'SELECT m.type, m.name, c.name, c.type, c."notnull", c.dflt_value, c.pk'
    with closing(sqlite3.connect(path)) as file:
        return set(file.execute(f"{columns} FROM sqlite_master AS m LEFT JOIN pragma_table_info(m.name) AS c"))


def journal(path: Path) -> str:
    with closing(sqlite3.connect(path)) as file:
        return file.execute("PRAGMA journal_mode").fetchone()[0]


def works(path: Path) -> None:
    """MLflow records a run there and finds it again."""
    check_tracking(f"sqlite:///{path}")
    calls = client(f"sqlite:///{path}")
    run_id = calls.create_run(calls.create_experiment("tiny"), tags={"a": "b"}).info.run_id
    assert calls.get_run(run_id).data.tags["a"] == "b"


def test_tables_are_those_that_mlflow_makes_and_can_be_read_while_they_are_written(
    path: Path, empty_mlflow: Path
) -> None:
    have_tables(f"sqlite:///{path}")
    assert schema(path) == schema(empty_mlflow)
    assert journal(path) == "wal"
    works(path)


def test_a_file_that_mlflow_made_keeps_what_is_in_it_and_gets_a_write_ahead_log(whole: Path) -> None:
    with closing(sqlite3.connect(whole)) as file:
        before = list(file.iterdump())
    have_tables(f"sqlite:///{whole}")
    with closing(sqlite3.connect(whole)) as file:
        assert list(file.iterdump()) == before
    assert journal(whole) == "wal"
    works(whole)


HALVES = {
    "before the first migration": "DELETE FROM alembic_version",
    "before MLflow had migrations": "DROP TABLE alembic_version; DROP TABLE inputs; DROP TABLE trace_info",
    "in the middle of the migrations": "UPDATE alembic_version SET version_num = '7f2a7d5fae7d'",
    "between two tables of a migration": (
        "UPDATE alembic_version SET version_num = '7f2a7d5fae7d'; DROP TABLE input_tags; DROP TABLE spans"
    ),
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_what_was_left_half_made_is_made_anew_with_a_line(
    half: str, whole: Path, empty_mlflow: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(whole)) as file:
        file.executescript(half)
    works(whole)
    assert schema(whole) == schema(empty_mlflow)
    [line] = [record.getMessage() for record in caplog.records if record.name == "optrack"]
    assert line == f"{whole} was left half made, with nothing recorded in it: MLflow's tables are made anew"


def test_a_file_with_its_first_table_alone_is_mlflows_and_is_made_anew(path: Path, empty_mlflow: Path) -> None:
    with closing(sqlite3.connect(empty_mlflow)) as file:
        [first] = file.execute("SELECT sql FROM sqlite_master WHERE name = 'experiments'").fetchone()
    with closing(sqlite3.connect(path)) as file:
        file.execute(first)
    works(path)


RECORDS = {
    "a run": "INSERT INTO runs (run_uuid, name, lifecycle_stage, experiment_id) VALUES ('1', 'mine', 'active', 0)",
    "an experiment": "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (7, 'mine', 'active')",
    "a registered model": "INSERT INTO registered_models (workspace, name) VALUES ('default', 'mine')",
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_file_of_another_version_with_something_in_it_is_left_to_mlflow(record: str, whole: Path) -> None:
    with closing(sqlite3.connect(whole)) as file:
        file.execute("UPDATE alembic_version SET version_num = '7f2a7d5fae7d'")
        file.execute(record)
        file.commit()
        before = list(file.iterdump())
    have_tables(f"sqlite:///{whole}")
    with closing(sqlite3.connect(whole)) as file:
        assert list(file.iterdump()) == before


def test_an_end_while_the_tables_are_made_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def ended(_: sqlalchemy.Engine) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mlflow_database.mlflow_tables, "_upgrade_db", ended)
    with pytest.raises(KeyboardInterrupt):
        have_tables(f"sqlite:///{path}")
    assert path.stat().st_size == 0
    monkeypatch.undo()
    works(path)


def test_what_a_killed_process_left_in_the_middle_of_a_write_is_rolled_back(whole: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(whole)) as file:
        before = list(file.iterdump())
        file.execute("PRAGMA cache_size = 1")  # pages are written before the end
        for number in range(200):
            file.execute(
                "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (?, ?, 'active')",
                (number + 7, f"{number}" * 50),
            )
        killed = tmp_path / "killed"
        shutil.copytree(whole.parent, killed)
    assert (killed / "mlflow.db-journal").stat().st_size > 0
    assert (killed / "mlflow.db").read_bytes() != whole.read_bytes()
    check_tracking(f"sqlite:///{killed / 'mlflow.db'}")
    with closing(sqlite3.connect(killed / "mlflow.db")) as file:
        assert list(file.iterdump()) == before
    assert not (killed / "mlflow.db-journal").exists()
    works(killed / "mlflow.db")


def test_a_reader_that_holds_the_file_open_stops_nobody(whole: Path) -> None:
    have_tables(f"sqlite:///{whole}")
    calls = client(f"sqlite:///{whole}")
    calls.create_experiment("first")
    with closing(sqlite3.connect(whole)) as reader:
        rows = reader.execute("SELECT * FROM sqlite_master")
        assert rows.fetchone()
        calls.create_experiment("second")
        assert rows.fetchone()


def test_a_reader_of_a_file_without_a_log_delays_the_change_and_nothing_else(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_database, "CHANGE_SECONDS", 0.01)
    with closing(sqlite3.connect(whole)) as reader:
        assert reader.execute("SELECT * FROM sqlite_master").fetchone()
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM sqlite_master").fetchone()
        have_tables(f"sqlite:///{whole}")
    assert journal(whole) == "delete"
    have_tables(f"sqlite:///{whole}")
    assert journal(whole) == "wal"


def test_mlflow_waits_as_long_for_another_writer_as_optuna(path: Path) -> None:
    have_tables(f"sqlite:///{path}")
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("PRAGMA busy_timeout = 20000;"))  # MLflow's, in each transaction
        assert connection.execute(sqlalchemy.text("PRAGMA busy_timeout")).scalar() == 60_000


@pytest.fixture
def project(path: Path, empty_mlflow: Path) -> Path:
    """A folder with all that MLflow keeps an address of, made by its own client."""
    shutil.copy(empty_mlflow, path)
    calls = client(f"sqlite:///{path}")
    experiment = calls.create_experiment("tiny", artifact_location=str(path.parent / "mlruns/tiny"))
    run = calls.create_run(experiment).info
    calls.log_text(run.run_id, "found", "model/found.txt")
    calls.create_run(experiment)  # of a trial, which has no artifacts
    calls.create_logged_model(experiment)
    calls.end_trace(calls.start_trace("traced", experiment_id=experiment).request_id)
    calls.create_registered_model("tiny.net")
    calls.create_model_version("tiny.net", f"{run.artifact_uri}/model", run.run_id)
    return path.parent


def model_of(folder: Path) -> Path:
    """Where the registered model lies by MLflow's account; its run gets another file there."""
    # In one process MLflow remembers where the artifacts of each run lie.
    remembered: Any = resolve_name("mlflow.tracking._tracking_service.utils:_artifact_repos_cache")
    remembered.clear()
    calls = client(f"sqlite:///{folder}/mlflow.db")
    [version] = calls.search_model_versions()
    calls.log_text(str(version.run_id), "new", "new.txt")
    return Path(calls.get_model_version_download_uri("tiny.net", str(version.version)).removeprefix("file://"))


def content(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "mlflow.db")) as file:
        return "\n".join(file.iterdump())


def change_addresses(folder: Path, old: str, new: str) -> None:
    changed = content(folder).replace(f"'{old}", f"'{new}")
    for path in folder.glob("mlflow.db*"):
        path.unlink()
    with closing(sqlite3.connect(folder / "mlflow.db")) as file:
        file.executescript(changed)


def test_artifacts_are_found_where_their_folder_was_moved_to(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    moved = project.rename(project.with_name("50% of it, mine"))
    model = model_of(moved)
    assert (model / "found.txt").read_text() == "found"
    assert model.is_relative_to(moved)
    assert f"{project}/" not in content(moved)
    assert not project.exists()
    line = f"{moved}/mlflow.db came here from {project}: the artifacts that it names are now those in {moved}/mlruns"
    assert caplog.messages == [line]
    before = content(moved)
    client(f"sqlite:///{moved}/mlflow.db")
    assert content(moved) == before
    assert caplog.messages == [line]


@pytest.mark.parametrize("name", ["mlflow.db", "renamed.sqlite"])
def test_a_copy_has_artifacts_of_its_own(name: str, project: Path) -> None:
    copy = shutil.copytree(project, project.with_name("copy"))
    (project / "mlflow.db").rename(project / name)
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    assert model_of(copy).is_relative_to(copy)
    assert f"{project}/" not in content(copy)
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_addresses_in_the_form_of_a_url_keep_it(project: Path) -> None:
    change_addresses(project, f"{project}/", f"{project.as_uri()}/")
    moved = project.rename(project.with_name("50% of it, mine"))
    assert (model_of(moved) / "new.txt").exists() is False
    assert f"'{moved.as_uri()}/mlruns/tiny'" in content(moved)


def test_where_nothing_may_be_written_artifacts_are_found_all_the_same(
    project: Path, only_read: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    moved = project.rename(project.with_name("moved"))
    only_read(moved)
    before = {path: path.read_bytes() for path in moved.rglob("*") if path.is_file()}
    calls = client(f"sqlite:///{moved}/mlflow.db")
    [version] = calls.search_model_versions()
    assert calls.get_model_version_download_uri("tiny.net", str(version.version)).startswith(f"{moved}/mlruns/tiny/")
    assert {path: path.read_bytes() for path in moved.rglob("*") if path.is_file()} == before
    assert caplog.messages == []


def test_artifacts_that_were_put_elsewhere_stay_there(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    disk = project.with_name("disk")
    disk.mkdir()
    shutil.copytree(project / "mlruns", disk / "mlruns")  # what was left behind stays beside the database
    change_addresses(project, f"{project}/", f"{disk}/")
    moved = project.rename(project.with_name("moved"))
    assert model_of(moved).is_relative_to(disk)
    assert caplog.messages == []


def test_a_database_that_was_moved_alone_keeps_its_artifacts(project: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    with closing(sqlite3.connect(project / "mlflow.db")) as old, closing(sqlite3.connect(alone / "mlflow.db")) as new:
        old.backup(new)
    assert model_of(alone).is_relative_to(project)
    # Once they are gone, what is written comes to lie beside it.
    shutil.rmtree(project)
    assert model_of(alone).is_relative_to(alone)
    assert not project.exists()


def test_an_unmounted_folder_of_a_server_is_left_to_it(project: Path) -> None:
    change_addresses(project, f"{project}/mlruns/tiny", "/not/mounted/mlruns/1")
    shutil.rmtree(project / "mlruns")
    before = content(project)
    client(f"sqlite:///{project}/mlflow.db")
    assert content(project) == before


def test_a_link_to_the_folder_is_the_folder(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    link = project.with_name("link")
    link.symlink_to(project)
    assert model_of(link).is_relative_to(project)
    assert caplog.messages == []


def test_servers_make_their_own_tables(tmp_path: Path) -> None:
    for uri in ("http://localhost:1", "postgresql://host/name"):
        have_tables(uri)
    assert list(tmp_path.iterdir()) == []


MAKING = """
import sys, mlflow
from optrack.search.stores.mlflow_store import client
print("making", flush=True)
print(client(sys.argv[1]).search_experiments()[0].name, flush=True)
"""


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def making(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", MAKING, f"sqlite:///{path}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_processes_that_begin_at_once_both_have_the_tables(
    path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    processes += [making(path) for _ in range(2)]
    assert [process.communicate()[0] for process in processes] == 2 * ["making\nDefault\n"]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.6, 0.9, 1.2, 2.0])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_process_may_end_while_it_makes_the_tables(
    seconds: float, number: signal.Signals, path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    process = making(path)
    processes.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "making\n"
    time.sleep(seconds)
    os.kill(process.pid, number)
    process.wait()
    works(path)
