"""A real MLflow server that is away, slow or in trouble at any moment: it is waited for, and nothing differs after."""

import contextlib
import http.client
import os
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]

Trouble = Literal["away", "lost", "500", "429", "slow"]
"""No answer; a write that is done and not answered, then no answer; an error; an answer after half a minute."""

SLOW_SECONDS = 30.0


@dataclass(kw_only=True)
class Proxy:
    """Forwards to the server at a port; in trouble from the `at`-th request on that writes, or reads, until `mend`.

    `writes` and `reads` count requests.
    """

    target: int
    trouble: Trouble | None = None
    at: int = 0
    of_reads: bool = False
    writes: int = 0
    reads: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                proxy.handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815 - the library's names

            def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def break_at(self, trouble: Trouble, at: int, *, of_reads: bool = False) -> None:
        """Be in trouble from a certain request on, counted from now."""
        with self._lock:
            self.trouble, self.at, self.of_reads, self.writes, self.reads = trouble, at, of_reads, 0, 0

    def mend(self) -> None:
        with self._lock:
            self.trouble = None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        is_read = request.command == "GET" or request.path.endswith("/search")
        with self._lock:
            self.reads += is_read
            self.writes += not is_read
            count = self.reads if self.of_reads else self.writes
            trouble = self.trouble if count >= self.at else None
            if trouble == "lost" and (count > self.at or is_read != self.of_reads):
                trouble = "away"
        match trouble:
            case "away":
                self._hang_up(request)
            case "500" | "429":
                self._answer(request, int(trouble), b"in trouble", {})
            case "slow":
                time.sleep(SLOW_SECONDS)
                self._hang_up(request)
            case "lost":
                self._asked(request, body)
                self._hang_up(request)
            case None:
                self._answer(request, *self._asked(request, body))

    def _asked(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.target, timeout=60)
        headers = {name: value for name, value in request.headers.items() if name not in {"Host", "Connection"}}
        connection.request(request.command, request.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        kept = {name: value for name, value in answer.headers.items() if name == "Content-Type"}
        connection.close()
        return answer.status, content, kept

    def _answer(self, request: BaseHTTPRequestHandler, status: int, content: bytes, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _hang_up(self, request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        with contextlib.suppress(OSError):
            request.connection.shutdown(socket.SHUT_RDWR)


STUDY = """
from optrack.search import Budget, Data, Family, Float, Pruner, Study

STUDY = Study(
    "tiny",
    data=Data("digits"),
    budget=Budget(trials=1, epochs=3),
    pruner=Pruner("none"),
    families=[
        Family(
            "linear",
            architecture="logistic",
            options={"batch_size": 256},
            space={"lr": Float(1e-3, 1e-1, log=True)},
            start=[{"lr": 1e-2}],
        )
    ],
)
"""

INLINE = ("--launcher", "inline", "--threads", "1")
COMMANDS: dict[str, tuple[str, ...]] = {
    "retrain": ("retrain", "tiny", "--seeds", "2", *INLINE),
    "test": ("test", "tiny", "--json"),
    "predict": ("predict", "tiny", "one.png", "--json"),
    "report": ("report", "tiny", "--output", "page.html"),
}
"""In the order in which they can be called."""

UNSTEADY = {"seconds", "best/seconds", "test/latency_ms"}


@dataclass(frozen=True, kw_only=True)
class Server:
    """A real `mlflow server` with SQLite, and artifacts that it serves itself."""

    folder: Path
    port: int

    def replace(self, source: Path, target: Path) -> None:
        """Copy a database, also while the server works with it."""
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target, timeout=60)) as new:
            old.backup(new)

    def record(self) -> Any:
        """All that MLflow holds of retrained models and the registry, without what differs from time to time."""
        client = MlflowClient(f"sqlite:///{self.folder}/mlflow.db")
        experiment = client.get_experiment_by_name("tiny")
        assert experiment is not None
        runs: list[Any] = []
        for run in client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]):
            tags = {name: value for name, value in run.data.tags.items() if name.startswith("optrack.")}
            if tags["optrack.stage"] in {"family", "search"}:
                continue
            metrics = {name: value for name, value in run.data.metrics.items() if name not in UNSTEADY}
            history = [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, "train_loss")]
            inputs = len(run.inputs.dataset_inputs) if run.inputs else 0
            artifacts = self.folder / "artifacts" / experiment.experiment_id / run.info.run_id / "artifacts"
            weights = [path.read_bytes() for path in artifacts.glob("model/weights.safetensors")]
            runs.append((tags, run.info.status, run.data.params, metrics, history, inputs, weights))
        versions = [(each.name, each.version, sorted(each.aliases)) for each in client.search_model_versions()]
        return runs, sorted(versions)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path, mlflow_server: Any) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_mlflow, folder)
    command = ["server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with mlflow_server(*command, health="health", folder=folder, **quiet) as port:
        yield Server(folder=folder, port=port)


@dataclass(kw_only=True)
class Place:
    """A folder with a study whose MLflow is a server behind a proxy."""

    folder: Path
    script: Path
    server: Server
    proxy: Proxy

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.script, *command, *([] if "--tracking-uri" in command else ["--tracking-uri", self.proxy.uri])],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *command: str) -> tuple[int, str, str]:
        with self.start(*command) as process:
            out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def done(self, *command: str) -> str:
        code, out, err = self.call(*command)
        assert code == 0, err
        return out


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What there is before a command, what it says and leaves undisturbed, and how many requests it makes."""

    folder: Path
    database: Path
    said: str
    record: Any
    writes: int
    reads: int

    def moment(self, where: str) -> tuple[int, bool]:
        """The number of the request at which the trouble begins, and whether requests are counted that read."""
        of_reads = self.writes == 0
        total = self.reads if of_reads else self.writes
        return {"start": 0, "middle": (total + 1) // 2, "end": total}[where], of_reads


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory, server: Server, forked_optrack: Path) -> dict[str, Stage]:
    base = tmp_path_factory.mktemp("stages")
    folder, found = base / "work", dict[str, Stage]()
    folder.mkdir()
    (folder / "tiny.py").write_text(STUDY)
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save(folder / "one.png")
    place = Place(folder=folder, script=forked_optrack, server=server, proxy=Proxy(target=server.port))
    place.done("run", "tiny.py", *INLINE)
    for name, command in COMMANDS.items():
        before, database = base / name, base / f"{name}.db"
        shutil.copytree(folder, before)
        server.replace(server.folder / "mlflow.db", database)
        place.proxy.writes = place.proxy.reads = 0
        said = place.done(*command)
        counts = {"writes": place.proxy.writes, "reads": place.proxy.reads}
        found[name] = Stage(folder=before, database=database, said=said, record=server.record(), **counts)
    place.proxy.close()
    return found


@pytest.fixture
def before(
    tmp_path: Path, server: Server, forked_optrack: Path, stages: dict[str, Stage]
) -> Iterator[Callable[[str], Place]]:
    """Be where a command is to be called: `before("test")`."""
    proxy = Proxy(target=server.port)

    def placed(name: str) -> Place:
        shutil.rmtree(tmp_path)
        shutil.copytree(stages[name].folder, tmp_path)
        server.replace(stages[name].database, server.folder / "mlflow.db")
        return Place(folder=tmp_path, script=forked_optrack, server=server, proxy=proxy)

    yield placed
    proxy.close()


CASES: list[tuple[str, str, Trouble]] = [
    *((name, where, "away") for name in COMMANDS for where in ("start", "middle", "end")),
    *((name, "middle", trouble) for name in ("retrain", "test") for trouble in ("lost", "500")),
    ("retrain", "end", "429"),
]


@pytest.mark.parametrize(("name", "where", "trouble"), CASES)
def test_mlflow_is_waited_for_in_two_lines_and_the_result_is_the_same(
    name: str, where: str, trouble: Trouble, before: Callable[[str], Place], stages: dict[str, Stage]
) -> None:
    place, stage = before(name), stages[name]
    at, of_reads = stage.moment(where)
    place.proxy.break_at(trouble, at, of_reads=of_reads)
    with place.start(*COMMANDS[name]) as process:
        lines = until_it_waits(process)
        place.proxy.mend()
        out, err = process.communicate(timeout=300)
    lines += err.splitlines()
    assert process.returncode == 0, lines
    about = [line for line in lines if line.startswith("MLflow")]
    limit = "15 min" if name == "retrain" else "1 min"
    assert len(about) == 2, about
    assert about[0].startswith(f"MLflow at {place.proxy.uri} does not answer: ")
    assert about[0].endswith(f"; waiting for it, up to {limit}")
    assert about[1] == f"MLflow at {place.proxy.uri} answers again"
    assert out == stage.said
    assert place.server.record() == stage.record


def until_it_waits(process: subprocess.Popen[str]) -> list[str]:
    """Read what a command says until it waits."""
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line.rstrip("\n"))
        if "waiting for it" in line:
            return lines
    raise AssertionError(lines)


@pytest.mark.parametrize(
    ("name", "where"),
    [*((name, where) for name in ("retrain", "test") for where in ("start", "middle", "end")), ("report", "end")],
)
def test_when_the_time_is_over_the_command_that_goes_on_is_named_and_goes_on(
    name: str, where: str, before: Callable[[str], Place], stages: dict[str, Stage]
) -> None:
    place, stage = before(name), stages[name]
    at, of_reads = stage.moment(where)
    place.proxy.break_at("away", at, of_reads=of_reads)
    code, out, err = place.call(*COMMANDS[name], "--wait", "1")
    assert (code, out) == (1, ""), err
    *_, last = err.splitlines()
    assert last.startswith(f"optrack: error: MLflow at {place.proxy.uri} does not answer: ")
    assert "; waited 1 s for it; `optrack " in last
    assert last.endswith(f"` {'tries again' if name == 'report' else 'goes on where it stopped'}")
    assert "Traceback" not in err
    place.proxy.mend()
    program, *typed = shlex.split(last.split("`")[1])
    assert (program, typed[0]) == ("optrack", name)
    assert place.done(*typed) == stage.said
    assert place.server.record() == stage.record
    assert not list((place.folder / ".optrack").glob("tests/*/*"))
    assert not list((place.folder / ".optrack").glob("retraining/*"))


@pytest.mark.parametrize(("name", "trouble"), [("retrain", "away"), ("retrain", "slow"), ("test", "slow")])
def test_ctrl_c_ends_the_wait(
    name: str, trouble: Trouble, before: Callable[[str], Place], stages: dict[str, Stage]
) -> None:
    place, stage = before(name), stages[name]
    place.proxy.break_at(trouble, stage.writes // 2)
    with place.start(*COMMANDS[name]) as process:
        until_it_waits(process)
        os.kill(command_of(place), signal.SIGINT)  # the program forwards no signals to the command that it stands for
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "resumes it" in err
    place.proxy.mend()
    assert place.done(*COMMANDS[name]) == stage.said
    assert [run[3:] for run in place.server.record()[0]] == [run[3:] for run in stage.record[0]]


def command_of(place: Place) -> int:
    """The process of the command that runs in a folder: the youngest one of the server of commands there."""
    import psutil

    found: list[tuple[float, int]] = []
    for process in psutil.process_iter(["pid", "cwd", "cmdline", "create_time"]):
        with contextlib.suppress(psutil.Error):
            if process.info["cwd"] == str(place.folder) and "command_server.py" in " ".join(process.info["cmdline"]):
                found.append((process.info["create_time"], process.info["pid"]))
    return max(found)[1]


def test_a_host_that_nobody_knows_is_not_waited_for(before: Callable[[str], Place]) -> None:
    place = before("predict")
    code, out, err = place.call(*COMMANDS["predict"], "--tracking-uri", "http://nobody.invalid")
    assert (code, out) == (2, "")
    assert err.startswith("optrack: error: MLflow at http://nobody.invalid does not answer: ")
