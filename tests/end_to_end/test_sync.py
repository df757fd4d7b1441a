"""MLflow away, emptied or lost: the search goes on, and `optrack sync` brings back every run that it has made."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient

Run = Callable[..., subprocess.CompletedProcess[str]]

INLINE = ("--launcher", "inline", "--threads", "1")
METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds")


def recorded(folder: Path) -> dict[str, Any]:
    """All that MLflow holds of the search's runs, by their names, without what belongs to one database alone."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    found: dict[str, Any] = {}
    for run in client.search_runs([experiment.experiment_id]):
        history = {
            name: [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, name)]
            for name in METRICS
        }
        best = Path(str(run.info.artifact_uri)) / "best"
        found[str(run.info.run_name)] = (
            (run.info.status, run.data.params, run.data.metrics, history),
            {name: value for name, value in run.data.tags.items() if name.startswith("optrack.")},
            {path.name: path.read_bytes() for path in best.glob("*")},
        )
    return found


@pytest.fixture
def searched_here(searched: Path, folder: Path) -> Path:
    """A finished search in the current folder; the artifacts of its MLflow lie where they were made."""
    shutil.copytree(searched, folder, dirs_exist_ok=True)
    return folder


@pytest.mark.slow
def test_runs_come_back_when_mlflow_is_lost(optrack: Run, searched: Path, folder: Path) -> None:
    shutil.copytree(searched, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("mlflow.db*", "mlruns"))
    before = recorded(searched)
    answer = optrack("sync")
    assert (answer.returncode, answer.stderr) == (0, "tiny: MLflow lacked 6 trials: written\n")
    assert recorded(folder) == before
    answer = optrack("sync", "tiny")
    assert (answer.returncode, answer.stderr) == (0, "tiny: MLflow is equal to Optuna's storage\n")
    assert recorded(folder) == before


@pytest.mark.slow
def test_a_deleted_run_and_lost_artifacts_come_back_with_the_next_search(optrack: Run, searched_here: Path) -> None:
    before = recorded(searched_here)
    client = MlflowClient(f"sqlite:///{searched_here}/mlflow.db")
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    for run in client.search_runs([experiment.experiment_id]):
        if run.info.run_name in {"linear 0", "deep"}:
            client.delete_run(run.info.run_id)
    answer = optrack("run", "tiny.py", *INLINE)
    assert answer.returncode == 0, answer.stderr
    assert "MLflow lacked 1 trial: written" in answer.stderr
    after = recorded(searched_here)
    assert {name: after[name][0] for name in after} == {name: before[name][0] for name in before}


def test_an_unknown_study_is_refused_with_the_nearest(optrack: Run, searched_here: Path) -> None:
    answer = optrack("sync", "tinny")
    assert answer.returncode == 2
    assert answer.stderr.startswith("optrack: error: unknown stored study 'tinny' (did you mean 'tiny'?)")


def test_a_study_that_a_kill_left_without_a_trial_has_nothing_to_write(optrack: Run, folder: Path, tiny: str) -> None:
    optuna.create_study(study_name="tiny/linear", storage=f"sqlite:///{folder}/optuna.db")
    answer = optrack("sync", tiny)
    assert (answer.returncode, answer.stderr) == (0, "tiny: MLflow is equal to Optuna's storage\n")


@pytest.mark.slow
def test_a_search_needs_no_mlflow(optrack: Run, folder: Path, tiny: str) -> None:
    away = "http://127.0.0.1:9"  # nobody listens
    answer = optrack("run", tiny, *INLINE, "--tracking-uri", away)
    assert answer.returncode == 0, answer.stderr
    lines = answer.stderr.splitlines()
    assert sum("MLflow at http://127.0.0.1:9 does not answer" in line for line in lines) == 1
    assert "waiting for MLflow: 6 trials; `optrack sync tiny` writes them" in lines
    answer = optrack("sync", "tiny", "--tracking-uri", away, "--wait", "0")
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"optrack: error: MLflow at {away} does not answer")
    assert optrack("sync").stderr == "tiny: MLflow lacked 6 trials: written\n"
    assert len(recorded(folder)) == 8
    assert not list(folder.rglob("*.unfinished"))
