import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from optrack.search import StorageError
from optrack.search.stores.addresses import make_state_folder
from optrack.search.stores.optuna_store import open_storage
from optrack.search.stores.ownership import owned

OWNER = """
import sys, time
from optrack.search.stores.ownership import owned
with owned(sys.argv[1], "s"):
    print("owned", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def owner() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Another process that owns study `s`, in a folder of its own if wanted: `owner(url, folder)`."""
    started: list[subprocess.Popen[str]] = []

    def start(url: str, folder: Path | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", OWNER, url], stdout=subprocess.PIPE, text=True, cwd=folder)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "owned\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def server_url(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of an empty database in a real PostgreSQL; the current folder is another one than that of other processes."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return postgres_url


def is_refused(url: str, process: subprocess.Popen[str]) -> None:
    named = rf"study 's' is being run by process {process.pid} on host {re.escape(socket.gethostname())} since "
    date = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    with pytest.raises(StorageError, match=rf"^{named}{date}: wait for it, or end it$"), owned(url, "s"):
        pass


def is_refused_until_a_kill(url: str, process: subprocess.Popen[str]) -> None:
    is_refused(url, process)
    with owned(url, "another"):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with owned(url, "s"):
        pass


def test_a_study_has_one_owner_until_that_process_is_killed(url: str, owner: Any) -> None:
    process = owner(url)
    is_refused_until_a_kill(url, process)


def test_a_link_to_a_database_leads_to_the_same_owner(url: str, owner: Any, tmp_path: Path) -> None:
    open_storage(url).engine.dispose()
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "linked.db").symlink_to(tmp_path / "optuna.db")
    (tmp_path / "linked").symlink_to(folder)
    process = owner("sqlite:///linked.db", folder)
    is_refused(url, process)
    is_refused(f"sqlite:///{tmp_path}/linked/linked.db", process)
    assert not (folder / ".optrack").exists()


def test_a_study_is_owned_once_in_a_process_and_is_free_again_after_an_error(url: str) -> None:
    def use() -> None:
        with owned(url, "s"):
            with pytest.raises(StorageError, match=f"process {os.getpid()} on host"):
                owned(url, "s").__enter__()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    with owned(url, "s"):
        pass
    assert {path.suffix for path in make_state_folder(url).iterdir()} == {".lock"}


@pytest.mark.parametrize("text", ["", "half a li", "process 1\nyesterday"])
def test_an_owner_that_has_not_said_who_it_is_refuses_others_too(text: str, url: str) -> None:
    with owned(url, "s"):
        (make_state_folder(url) / "s.owner").write_text(text)
        with pytest.raises(StorageError, match="'s' is being run by another process: wait for it"), owned(url, "s"):
            pass


@pytest.mark.parametrize("name", ["storage", "tracking", "_storage"])
def test_a_study_may_have_any_name(name: str, url: str) -> None:
    with owned(url, name.removeprefix("_")):
        open_storage(url).engine.dispose()


def test_a_study_on_a_server_has_one_owner_whatever_folder_it_runs_in(
    server_url: str, owner: Any, tmp_path: Path
) -> None:
    process = owner(server_url, tmp_path)
    is_refused_until_a_kill(server_url, process)


def test_studies_of_one_name_in_two_databases_of_a_server_are_two(
    server_url: str, owner: Any, tmp_path: Path, postgres: Any
) -> None:
    owner(postgres.database("other"), tmp_path)
    with owned(server_url, "s"):
        pass


def test_a_lock_that_a_restarted_server_forgot_is_taken_again(server_url: str, postgres: Any, tmp_path: Path) -> None:
    taking = f"from optrack.search.stores.ownership import owned; owned({server_url!r}, 's').__enter__()"
    with owned(server_url, "s") as ownership:
        ownership.renew()
        postgres.stop()
        with pytest.raises(OperationalError):
            ownership.renew()
        postgres.start()
        ownership.renew()
        taker = subprocess.run(
            [sys.executable, "-c", taking], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert f"is being run by process {os.getpid()} on" in taker.stderr


def test_a_lock_that_another_process_took_meanwhile_is_lost(
    server_url: str, owner: Any, postgres: Any, tmp_path: Path
) -> None:
    with owned(server_url, "s") as ownership:
        postgres.stop()
        postgres.start()
        process = owner(server_url, tmp_path)
        with pytest.raises(StorageError, match=f"is being run by process {process.pid} on"):
            ownership.renew()


def test_a_server_that_is_not_there_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"postgresql://me:SECRET@127.0.0.1:{probe.getsockname()[1]}/name"
    with pytest.raises(StorageError, match=r"storage postgresql://me:\*\*\*@127.* cannot be opened") as raised:
        owned(url, "s").__enter__()
    assert "SECRET" not in str(raised.value)
    assert "\n" not in str(raised.value)
    with owned("sqlite:///other.db", "s"):  # nothing is held
        pass
