# pyright: reportPrivateUsage=false
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from optrack.search.errors import ServerError
from optrack.search.servers.children import Child, Server, _dashboard, _mlflow, running, serve

_SCRIPT = """
import sys
from optrack.search.servers.children import serve
tracking_uri, storage_url, mlflow_port, dashboard_port = sys.argv[1:]
serve(
    tracking_uri=tracking_uri,
    storage_url=storage_url,
    mlflow_port=int(mlflow_port),
    dashboard_port=int(dashboard_port),
    announce=lambda name, address: print(name, address, sep="\\t", flush=True),
)
print("ended", flush=True)
"""

_STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; print('grandchild', flush=True); time.sleep(600)"])
time.sleep(600)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def python(code: str) -> Server:
    return Server(name="Test server", arguments=("-c", code), port=free_port(), option="--test-port", path="/")


def group(leader: int) -> list[psutil.Process]:
    return [p for p in psutil.process_iter() if _group_of(p) == leader and p.status() != psutil.STATUS_ZOMBIE]


def _group_of(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None


def until_dead(child: Child) -> None:
    while True:
        child.require_alive()
        time.sleep(0.05)


def fail_beside_a_stubborn_server(groups: list[int]) -> None:
    with running([python(_STUBBORN)]) as [child]:
        while "grandchild" not in child._lines:
            child.require_alive()
            time.sleep(0.05)
        groups.append(child._process.pid)
        assert len(group(groups[0])) == 2
        raise RuntimeError("ours")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def ignore(_name: str, _address: str) -> None:
    pass


def test_an_address_with_its_password_is_told_in_the_environment_which_others_cannot_read() -> None:
    url = "postgresql://me:SECRET@host/name"
    for server in (_mlflow(url, 5000), _dashboard(url, 8080)):
        assert "SECRET" not in " ".join(server.arguments)
        assert url in server.environment.values()


def test_what_a_server_said_is_quoted_without_the_password_that_it_was_told() -> None:
    code = "import os; print('cannot open', os.environ['URL']); raise SystemExit('for SECRET')"
    server = replace(python(code), environment={"URL": "postgresql://me:SECRET@host/name"})
    with pytest.raises(ServerError) as caught, running([server]) as [child]:
        until_dead(child)
    assert "cannot open postgresql://me:***@host/name | for ***" in str(caught.value)


def test_an_mlflow_server_elsewhere_is_announced_without_its_password(taken_port: int) -> None:
    announced: list[str] = []
    with pytest.raises(ServerError):
        serve(
            tracking_uri="https://me:SECRET@mlflow.example.org/x?token=TOKEN",
            storage_url="sqlite:///optuna.db",
            mlflow_port=taken_port,
            dashboard_port=taken_port,
            announce=lambda _, address: announced.append(address),
        )
    assert announced == ["https://mlflow.example.org/x?token=***"]


@pytest.mark.slow
def test_both_servers_answer_and_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    import optuna

    storage_url = f"sqlite:///{tmp_path}/optuna.db"
    optuna.storages.RDBStorage(storage_url).engine.dispose()
    ports = [free_port(), free_port()]
    arguments = [f"sqlite:///{tmp_path}/mlflow.db", storage_url, *map(str, ports)]
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        announced = dict(process.stdout.readline().strip().split("\t") for _ in range(2))
        children = psutil.Process(process.pid).children(recursive=True)
        assert not [child for child in children if str(tmp_path / "optuna.db") in " ".join(child.cmdline())]
        assert not [child for child in children if str(tmp_path / "mlflow.db") in " ".join(child.cmdline())]
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "ended\n"
    assert process.returncode == 0
    assert announced == {
        "MLflow": f"http://127.0.0.1:{ports[0]}",
        "Optuna dashboard": f"http://127.0.0.1:{ports[1]}",
    }
    assert len(children) >= 3  # mlflow, its web server, the dashboard
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def test_a_port_in_use_is_said_with_the_option_that_changes_it(taken_port: int) -> None:
    with pytest.raises(ServerError, match=rf"port {taken_port} for Optuna dashboard .* --dashboard-port"):
        serve(
            tracking_uri="sqlite:///mlflow.db",
            storage_url="sqlite:///optuna.db",
            mlflow_port=free_port(),
            dashboard_port=taken_port,
            announce=ignore,
        )


def test_one_port_for_both_is_refused() -> None:
    port = free_port()
    with pytest.raises(ServerError, match=f"--mlflow-port and --dashboard-port must differ, but both are {port}"):
        serve(
            tracking_uri="sqlite:///mlflow.db",
            storage_url="sqlite:///optuna.db",
            mlflow_port=port,
            dashboard_port=port,
            announce=ignore,
        )


def test_an_mlflow_server_elsewhere_is_announced_and_none_is_started(taken_port: int) -> None:
    announced: list[tuple[str, str]] = []
    with pytest.raises(ServerError, match=f"port {taken_port} for Optuna dashboard"):
        serve(
            tracking_uri="https://mlflow.example.org",
            storage_url="sqlite:///optuna.db",
            mlflow_port=taken_port,
            dashboard_port=taken_port,
            announce=lambda name, address: announced.append((name, address)),
        )
    assert announced == [("MLflow", "https://mlflow.example.org")]


def test_a_server_that_dies_early_is_quoted_in_one_line() -> None:
    server = python("print('one'); print('two'); print('three'); raise SystemExit('no such table')")
    expected = "Test server exited with code 1; its last lines: two | three | no such table"
    with pytest.raises(ServerError) as caught, running([server]) as [child]:
        until_dead(child)
    assert str(caught.value) == expected


def test_a_server_that_was_killed_is_said_to_be() -> None:
    server = python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with (
        pytest.raises(ServerError, match="Test server was killed by signal 9; its last lines: nothing"),
        running([server]) as [child],
    ):
        until_dead(child)


def test_a_server_that_ignores_termination_is_killed_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optrack.search.servers.children._GRACE_SECONDS", 0.3)
    groups: list[int] = []
    with pytest.raises(RuntimeError, match="ours"):
        fail_beside_a_stubborn_server(groups)
    assert group(groups[0]) == []


def test_a_server_that_does_not_answer_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from optrack.search.servers import children as servers

    monkeypatch.setattr(servers, "_START_SECONDS", 0.5)
    monkeypatch.setattr(servers, "_dashboard", lambda *_: python("import time; time.sleep(600)"))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    with pytest.raises(ServerError, match=r"Test server did not answer within \d+ s"):
        serve(
            tracking_uri="http://mlflow.example.org",
            storage_url="sqlite:///optuna.db",
            mlflow_port=free_port(),
            dashboard_port=free_port(),
            announce=ignore,
        )


def test_what_the_user_set_wins_over_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", "theirs")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    names = ("DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY")
    server = python(f"import os; print(*(os.environ[name] for name in {names})); raise SystemExit(1)")
    with pytest.raises(ServerError, match="theirs true"), running([server]) as [child]:
        until_dead(child)
