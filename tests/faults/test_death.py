"""The process dies between two writes, wherever that is: the next run completes the study, and both stores agree.

Death is an exception that nobody catches, with what would be put away left as it is; `kill -9` of a real process is in
`tests/end_to_end/test_interruption.py`.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

from optrack.search import Budget, Data, Family, Float, Pruner, Study
from optrack.search.cli.progress import LineProgress
from optrack.search.coordinator.coordinator import Coordinator
from optrack.search.coordinator.running import run_study
from optrack.search.launchers.machine import Machine
from optrack.search.stores.mlflow_tracker import MlflowTracker
from optrack.search.stores.places import Places

# MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

STUDY = Study(
    "mine",
    data=Data("digits"),
    budget=Budget(trials=2, epochs=3),
    pruner=Pruner("none"),
    families=[
        Family(
            "linear",
            architecture="logistic",
            options={"batch_size": 256},
            space={"lr": Float(1e-4, 1e-1, log=True)},
            start=[{"lr": 1e-3}, {"lr": 1e-2}],  # the second one is better
        )
    ],
)


class Death(BaseException):
    """Nobody catches it."""


@pytest.fixture
def places(tmp_path: Path, empty_mlflow: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return Places(
        storage=f"sqlite:///{tmp_path}/optuna.db",
        tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
        data_dir=tmp_path / "data",
        cache_dir=tmp_path / "cache",
    )


def search(places: Places) -> None:
    run_study(STUDY, places=places, machine=Machine(launcher="inline", threads=1), observer=LineProgress())


def dying(function: Callable[..., Any], *, call: int, after: bool) -> Callable[..., Any]:
    """The function as it is, until a call in which the process dies, before or after it has done its work."""
    calls = 0

    def wrapper(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            raise Death
        result = function(*arguments, **options)
        if calls == call:
            raise Death
        return result

    return wrapper


def is_complete(places: Places) -> None:
    """Two finished trials; MLflow has one run for each, with each epoch once, and the better one's weights."""
    trials = optuna.load_study(study_name="mine/linear", storage=places.storage).trials
    assert [(trial.number, trial.state) for trial in trials] == [(0, TrialState.COMPLETE), (1, TrialState.COMPLETE)]
    client = MlflowClient(places.tracking_uri)
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    runs = {str(run.info.run_name): run for run in client.search_runs([experiment.experiment_id])}
    assert len(client.search_runs([experiment.experiment_id])) == 3
    assert {name: run.info.status for name, run in runs.items()} == dict.fromkeys(
        ("linear", "linear 0", "linear 1"), "FINISHED"
    )
    for trial in trials:
        run = runs[f"linear {trial.number}"]
        assert trial.user_attrs["mlflow_run"] == run.info.run_id
        assert run.data.tags["optrack.state"] == "finished"
        assert run.data.params["lr"] == str(trial.params["lr"])
        history = client.get_metric_history(run.info.run_id, "val_accuracy")
        assert {entry.step: entry.value for entry in history} == trial.intermediate_values
        assert [entry.step for entry in history] == [1, 2, 3]
        assert run.data.metrics["best/val_accuracy"] == trial.value
    best = max(trials, key=lambda trial: trial.value or 0)
    family = runs["linear"]
    assert family.data.tags["optrack.best_trial"] == str(best.number) == "1"
    kept = Path(str(family.info.artifact_uri)) / "best"
    assert json.loads((kept / "configuration.json").read_text())["value"] == best.value
    assert {path.name for path in kept.iterdir()} == {"configuration.json", "weights.safetensors"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "method", "call", "after"),
    [
        pytest.param(MlflowTracker, "open_family", 1, True, id="after MLflow has the family"),
        pytest.param(MlflowTracker, "open_trial", 1, True, id="after MLflow has the first trial, before Optuna knows"),
        pytest.param(MlflowTracker, "open_trial", 2, True, id="after MLflow has the second trial, before Optuna knows"),
        pytest.param(optuna.Trial, "report", 2, True, id="after Optuna has an epoch, before MLflow has it"),
        pytest.param(MlflowTracker, "log_epoch", 2, True, id="after both have an epoch"),
        pytest.param(MlflowTracker, "log_best", 2, False, id="before MLflow has the better weights"),
        pytest.param(MlflowTracker, "log_best", 2, True, id="after MLflow has the better weights"),
        pytest.param(MlflowTracker, "close_run", 1, False, id="before MLflow has the end of the first trial"),
        pytest.param(optuna.Study, "tell", 2, False, id="before Optuna has the end of the last trial"),
        pytest.param(optuna.Study, "tell", 2, True, id="after both have the end of the last trial"),
    ],
)
def test_a_process_may_die_anywhere(
    owner: Any,
    method: str,
    call: int,
    after: bool,  # noqa: FBT001 - pytest's form
    places: Places,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as dead:
        dead.setattr(owner, method, dying(getattr(owner, method), call=call, after=after))
        dead.setattr(Coordinator, "_close", lambda *_, **__: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
        with pytest.raises(Death):
            search(places)
    search(places)
    is_complete(places)
