"""The command line in a folder of its own: in this process where that will do, else as a process of its own."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPT = Path(sys.executable).with_name("optrack")
Answer = subprocess.CompletedProcess[str]

# Two families; in each the second start configuration learns so slowly that the pruner stops it after one epoch.
TINY = """
from optrack.search import Budget, Categorical, Data, Family, Float, Pruner, Study

STUDY = Study(
    "tiny",
    data=Data("digits", validation=0.25),
    budget=Budget(trials=3, epochs=3),
    pruner=Pruner("median", n_startup_trials=1),
    seed=7,
    families=[
        Family(
            "linear",
            architecture="logistic",
            options={"batch_size": 64},
            space={"lr": Float(1e-6, 1e-1, log=True), "dropout": Float(0.0, 0.3)},
            start=[{"lr": 0.03}, {"lr": 1e-6}],
        ),
        Family(
            "deep",
            architecture="mlp",
            options={"depth": 1, "width": 32, "batch_norm": True},
            space={
                "lr": Float(1e-6, 1e-1, log=True),
                "optimizer": Categorical("adam", "sgd"),
                "momentum": Float(0.5, 0.9, when={"optimizer": "sgd"}),
            },
            start=[{"lr": 0.03, "optimizer": "adam"}, {"lr": 1e-6, "optimizer": "sgd"}],
        ),
    ],
)
"""

# One family that is over in a moment.
SMALL = """
from optrack.search import Budget, Categorical, Data, Family, Float, Pruner, Study

STUDY = Study(
    "small",
    data=Data("digits"),
    budget=Budget(trials=2, epochs=2),
    pruner=Pruner("none"),
    families=[
        Family("linear", architecture="logistic", space={"lr": Float(1e-3, 1e-1, log=True)}, start=[{"lr": 0.01}]),
        Family("deep", architecture="mlp", space={"width": Categorical(8, 16), "depth": Categorical(1, 2)}),
    ],
)
"""

# Three trials of eight epochs, each of 360 steps.
SLOW = """
from optrack.search import Budget, Data, Family, Float, Pruner, Study

STUDY = Study(
    "slow",
    data=Data("digits", image_size=16),
    budget=Budget(trials=3, epochs=8),
    pruner=Pruner("none"),
    families=[
        Family(
            "deep",
            architecture="mlp",
            options={"depth": 3, "width": 128, "batch_size": 1},
            space={"lr": Float(1e-4, 1e-3, log=True)},
        ),
    ],
)
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"))


def _environment(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "PATH": os.environ["PATH"], "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a test, empty, with nothing of the user's environment that commands look at."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "OPTRACK_DATA"):
        monkeypatch.delenv(name, raising=False)
    # The command line sets these; so they are taken back after the test.
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return tmp_path


@pytest.fixture
def optrack(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Answer]]:
    """The command line in this process: `optrack("best", "digits", "--json")`."""
    import optuna

    from optrack.search.cli import main

    def call(*arguments: object) -> Answer:
        command = ["optrack", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess(command, ended.value.code, output.out, output.err)

    # By its absolute path: in one process MLflow keeps the connection of an address, wherever the current folder is.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    verbosity = optuna.logging.get_verbosity()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)
    optuna.logging.set_verbosity(verbosity)


@pytest.fixture
def shell(folder: Path) -> Callable[..., Answer]:
    """The installed console script as a process of its own."""

    def call(*arguments: object) -> Answer:
        return _call(SCRIPT, folder, *arguments)

    return call


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the console script and leave it running; what is left of it at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [SCRIPT, *map(str, arguments)],
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a group of its own, which a Ctrl-C is for
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def small(folder: Path, empty_mlflow: Path) -> str:
    """A study file in the current folder, with MLflow's tables there already: MLflow takes seconds to make them."""
    shutil.copy(empty_mlflow, folder / "mlflow.db")
    (folder / "small.py").write_text(SMALL)
    return "small.py"


@pytest.fixture
def slow(folder: Path, empty_mlflow: Path) -> str:
    """A study whose epochs take long enough to be caught in the middle of a trial."""
    shutil.copy(empty_mlflow, folder / "mlflow.db")
    (folder / "slow.py").write_text(SLOW)
    return "slow.py"


@pytest.fixture
def tiny(folder: Path, empty_mlflow: Path) -> str:
    """The study of `searched`, to be run again."""
    shutil.copy(empty_mlflow, folder / "mlflow.db")
    (folder / "tiny.py").write_text(TINY)
    return "tiny.py"


@pytest.fixture(scope="session")
def searched(request: pytest.FixtureRequest, made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A folder in which `tiny.py` was run twice: `--trials 2` with one worker process, then to the end, inline.

    `first/` beside it has both databases as the first run left them.
    """

    def make(folder: Path) -> None:
        _search(request.getfixturevalue("forked_optrack"), folder)

    return made_once("searched", make) / "work"


@pytest.fixture(scope="session")
def finished(
    request: pytest.FixtureRequest, empty_mlflow: Path, made_once: Callable[[str, Callable[[Path], None]], Path]
) -> Path:
    """A folder in which `tiny.py` was run, retrained, tested, reported and exported; answers.json is what they said."""

    def make(folder: Path) -> None:
        shutil.copy(empty_mlflow, folder / "mlflow.db")
        _finish(request.getfixturevalue("forked_optrack"), folder)

    return made_once("finished", make)


FINISHING = (
    "run tiny.py --workers 2 --threads 1",
    "retrain tiny.py --seeds 2 --confirm 2 --workers 2 --threads 1",
    "test tiny.py",
    "test tiny.py --json",
    "retrain tiny.py --seeds 2",
    "report tiny.py",
    "export tiny.py --json",
)


def _finish(script: Path, folder: Path) -> None:
    (folder / "tiny.py").write_text(TINY)
    _keep(folder, [_call(script, folder, *command.split()) for command in FINISHING])


def _keep(folder: Path, answers: list[Answer]) -> None:
    fields = [{"code": answer.returncode, "out": answer.stdout, "err": answer.stderr} for answer in answers]
    (folder / "answers.json").write_text(json.dumps(fields))


def _search(script: Path, shared: Path) -> None:
    work, first = shared / "work", shared / "first"
    work.mkdir()
    first.mkdir()
    (work / "tiny.py").write_text(TINY)
    answers = [_call(script, work, "run", "tiny.py", "--trials", 2, "--workers", 1, "--threads", 1)]
    for name in ("optuna.db", "mlflow.db"):
        shutil.copy(work / name, first)
    answers.append(_call(script, work, "run", "tiny.py", "--launcher", "inline", "--threads", 1))
    (shared / "left.json").write_text(json.dumps(sorted(path.name for path in work.iterdir())))
    _keep(shared, answers)


@pytest.fixture
def answers(searched: Path) -> list[Answer]:
    """What the two runs of `searched` said."""
    fields = json.loads((searched.parent / "answers.json").read_text())
    return [subprocess.CompletedProcess("optrack run", said["code"], said["out"], said["err"]) for said in fields]


def _call(script: Path, folder: Path, *arguments: object) -> Answer:
    return subprocess.run(
        [script, *map(str, arguments)],
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def unused_ports() -> tuple[int, int]:
    """Two TCP ports at which nobody listens."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
