"""The process dies at its N-th write, for every N: the next run completes the study, and nothing is lost or doubled.

`make test-slow` tries a sample of all N; `OPTRACK_TORTURE=1` tries all of them.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from optrack.search.stores import read_storage, stored_families

# MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]

STUDY = """
from optrack.search import Budget, Data, Family, Float, Pruner, Study

STUDY = Study(
    "mine",
    data=Data("digits"),
    budget=Budget(trials=3, epochs=3),
    pruner=Pruner("median", n_startup_trials=1),
    families=[
        Family(
            "linear",
            architecture="logistic",
            options={"batch_size": 256},
            space={"lr": Float(1e-4, 1e-1, log=True)},
            start=[{"lr": 1e-3}, {"lr": 1e-2}, {"lr": 1e-4}],  # the second one is better, the third one is pruned
        )
    ],
)
"""
SAMPLE = 10

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def command(forked_optrack: Path) -> Command:
    def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [forked_optrack, *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory, command: Command, empty_mlflow: Path) -> Path:
    """A folder in which nothing has happened but that the images are decoded and MLflow's tables are made."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "mine.py").write_text(STUDY)
    answer = command(folder, "dataset", "prepare", "digits")
    assert answer.returncode == 0, answer.stderr
    shutil.copy(empty_mlflow, folder / "mlflow.db")
    return folder


RUN = ("run", "mine.py", "--launcher", "inline", "--threads", "1")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, begun: Path, command: Command) -> tuple[Any, int]:
    """What a search leaves behind that nothing happens to, and the number of its writes."""
    folder = tmp_path_factory.mktemp("undisturbed") / "folder"
    shutil.copytree(begun, folder)
    counted = folder.parent / "writes"
    answer = command(folder, *RUN, OPTRACK_TEST_COUNT_WRITES=str(counted))
    assert answer.returncode == 0, answer.stderr
    return record(folder), counted.stat().st_size


def record(folder: Path) -> Any:
    """All that both stores hold of the study, without what each run makes anew; checks that MLflow equals Optuna."""
    (family,) = stored_families(read_storage(f"sqlite:///{folder}/optuna.db"), "mine")
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    of_trials = {run.data.tags["optrack.trial"]: run for run in runs if run.data.tags["optrack.stage"] == "search"}
    assert len(runs) == 1 + len(family.trials) == 1 + len(of_trials)
    assert {run.info.status for run in runs} == {"FINISHED"}
    found: list[Any] = []
    for trial in family.trials:
        run = of_trials[str(trial.number)]
        assert (run.info.run_id, run.data.tags["optrack.state"]) == (trial.mlflow_run, trial.state)
        assert run.data.params["lr"] == str(trial.params["lr"])
        for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"):
            history = client.get_metric_history(run.info.run_id, name)
            assert [(each.step, each.value) for each in history] == [
                (epoch.epoch, getattr(epoch, name)) for epoch in trial.epochs
            ]
        epochs = [{**asdict(epoch), "seconds": None} for epoch in trial.epochs]
        found.append((trial.number, trial.state, trial.value, trial.params, trial.seed, trial.reason, epochs))
    assert family.best is not None
    (of_family,) = [run for run in runs if run.info.run_id not in {each.info.run_id for each in of_trials.values()}]
    assert of_family.data.tags["optrack.best_trial"] == str(family.best.number)
    best = folder / ".optrack/best/mine/linear"
    assert [path.name for path in best.iterdir()] == [str(family.best.number)]
    kept = {path.name: path.read_bytes() for path in (best / str(family.best.number)).iterdir()}
    mirrored = Path(str(of_family.info.artifact_uri)) / "best"
    # A kill while MLflow copies an artifact leaves its unfinished copy beside it.
    copied = [path for path in mirrored.iterdir() if not path.name.startswith(".artifact.uploading")]
    assert {path.name: path.read_bytes() for path in copied} == kept
    assert json.loads(kept["configuration.json"])["value"] == family.best.value
    return found, kept["weights.safetensors"]


def test_a_search_may_die_at_every_write(
    tmp_path: Path, begun: Path, command: Command, undisturbed: tuple[Any, int]
) -> None:
    expected, writes = undisturbed
    step = 1 if "OPTRACK_TORTURE" in os.environ else writes // SAMPLE
    deaths = 0
    for number in range(1, writes + 1, step):
        folder = tmp_path / str(number)
        shutil.copytree(begun, folder)
        killed = command(folder, *RUN, OPTRACK_TEST_DIE_AT_WRITE=str(number))
        deaths += killed.returncode == -signal.SIGKILL
        answer = command(folder, *RUN)
        assert answer.returncode == 0, (number, answer.stderr)
        assert record(folder) == expected, number
        shutil.rmtree(folder)
    assert deaths >= 0.9 * len(range(1, writes + 1, step))  # what the two threads write has no fixed order
