"""Runs that do not reach their end, and what the next one makes of them."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from optuna.trial import FrozenTrial, TrialState

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]

TWO_WORKERS = ("--workers", "2", "--threads", "1")
INLINE = ("--launcher", "inline", "--threads", "1")
EPOCHS = list(range(1, 9))


def trials() -> list[FrozenTrial]:
    return optuna.load_study(study_name="slow/deep", storage="sqlite:///optuna.db").trials


def runs() -> dict[str, MlflowRun]:
    """MLflow's runs by name."""
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    experiment = client.get_experiment_by_name("slow")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found)
    return {str(run.info.run_name): run for run in found}


def until_mid_trial(process: subprocess.Popen[str], *, after: int = 0) -> None:
    """Wait until a trial has had two of its epochs, after so many trials that have finished."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        try:
            states = [(trial.state, len(trial.intermediate_values)) for trial in trials()]
        except (KeyError, optuna.exceptions.StorageInternalError):  # there is no storage yet, or no study in it
            states = []
        finished = sum(state == TrialState.COMPLETE for state, _ in states)
        if finished >= after and any(state == TrialState.RUNNING and epochs >= 2 for state, epochs in states):
            return
        time.sleep(0.1)
    pytest.fail("no trial came to its second epoch")


def has_completed() -> None:
    """Three trials with all their epochs, once each, in Optuna and in MLflow."""
    assert [(trial.number, trial.state) for trial in trials()] == [(n, TrialState.COMPLETE) for n in range(3)]
    found = runs()
    assert {name: run.info.status for name, run in found.items()} == dict.fromkeys(
        ("deep", "deep 0", "deep 1", "deep 2"), "FINISHED"
    )
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    for trial in trials():
        run = found[f"deep {trial.number}"]
        assert run.data.tags["optrack.state"] == "finished"
        history = client.get_metric_history(run.info.run_id, "val_accuracy")
        assert [entry.step for entry in history] == list(trial.intermediate_values) == EPOCHS
        assert [entry.value for entry in history] == list(trial.intermediate_values.values())
        assert trial.value == max(trial.intermediate_values.values())
    assert len(list(Path("mlruns").rglob("weights.safetensors"))) == 1
    assert len(list(Path(".optrack").rglob("*.safetensors"))) == 1  # the family's best, beside the storage


def answered(run: Run, *arguments: str) -> Any:
    answer = run(*arguments, "--json")
    assert (answer.returncode, answer.stderr) == (0, "")
    return json.loads(answer.stdout)


@pytest.mark.slow
def test_ctrl_c_ends_a_run_at_once_and_the_next_run_completes_it(start: Start, optrack: Run, slow: str) -> None:
    process = start("run", slow, *TWO_WORKERS)
    until_mid_trial(process)
    os.killpg(process.pid, signal.SIGINT)
    began = time.monotonic()
    output, messages = process.communicate(timeout=30)
    assert time.monotonic() - began < 8
    assert process.returncode == 130
    assert "interrupted: `optrack run slow.py --workers 2 --threads 1` resumes it" in messages
    assert "Traceback" not in messages + output

    before = runs()
    waiting = [trial.number for trial in trials() if trial.state == TrialState.WAITING]
    assert waiting
    for number in waiting:
        run = before[f"deep {number}"]
        assert (run.info.status, run.data.tags["optrack.state"]) == ("KILLED", "interrupted")
    assert "RUNNING" not in {run.info.status for run in before.values()}
    epochs = {trial.number: trial.intermediate_values for trial in trials()}
    params = {trial.number: trial.params for trial in trials()}

    assert optrack("run", slow, *INLINE).returncode == 0
    has_completed()
    after = {trial.number: trial for trial in trials()}
    for number, values in epochs.items():
        assert after[number].params == params[number]
        assert values.items() <= after[number].intermediate_values.items()
    assert {name: run.info.run_id for name, run in runs().items()}.items() >= {
        name: run.info.run_id for name, run in before.items()
    }.items()


def others_read_but_cannot_run(run: Run, study: str) -> None:
    refused = run("run", study, *INLINE)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("optrack: error: study 'slow' is being run by process ")
    assert refused.stderr.count("\n") == 1
    (family,) = answered(run, "status", study)["families"]
    assert family["trials"]["running"] >= 1
    assert family["trials"]["running"] + family["trials"]["finished"] == family["trials"]["total"] >= 2
    (best,) = answered(run, "best", study)["families"]
    assert best["value"] == trials()[best["trial"]].value


@pytest.mark.slow
def test_a_run_is_read_beside_it_and_when_killed_leaves_no_worker_and_a_study_that_goes_on(
    start: Start, optrack: Run, slow: str
) -> None:
    process = start("run", slow, *TWO_WORKERS)
    until_mid_trial(process, after=1)
    others_read_but_cannot_run(optrack, slow)

    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.kill()
    process.communicate(timeout=30)  # the pipes are closed when the last worker has ended
    _, alive = psutil.wait_procs(children, timeout=10)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []

    assert {trial.state for trial in trials()} == {TrialState.COMPLETE, TrialState.RUNNING}
    epochs = {trial.number: trial.intermediate_values for trial in trials()}
    assert optrack("run", slow, *INLINE).returncode == 0
    has_completed()
    for trial in trials():
        assert epochs.get(trial.number, {}).items() <= trial.intermediate_values.items()


@pytest.mark.slow
def test_the_pages_come_up_and_end_with_ctrl_c(
    start: Start, optrack: Run, slow: str, unused_ports: tuple[int, int]
) -> None:
    assert optrack("run", slow, *INLINE, "--trials", 1, "--epochs", 1).returncode == 0
    mlflow, dashboard = unused_ports
    process = start("ui", "--mlflow-port", mlflow, "--dashboard-port", dashboard)
    assert process.stdout is not None
    lines: list[str] = []
    while len(lines) < 4:
        line = process.stdout.readline()
        assert line, process.communicate()
        lines.append(line.rstrip())
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    assert {line for line in lines if not line.startswith(" ")} == {
        f"MLflow: http://127.0.0.1:{mlflow}",
        f"Optuna dashboard: http://127.0.0.1:{dashboard}",
    }
    links = [line for line in lines if line.startswith(" ")]
    for link, what, view in zip(links, ("trials", "retrained models"), ("trials", "models"), strict=True):
        assert link.startswith(f"  {what} of slow: http://127.0.0.1:{mlflow}/#/experiments/")
        assert link.endswith(f"workflowType=machine_learning&viewStateShareKey={view}")
    os.killpg(process.pid, signal.SIGINT)
    _, messages = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in messages
    _, alive = psutil.wait_procs(children, timeout=10)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []
