import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from optrack.datasets import Prepared
from optrack.search import Categorical, Data, Family, Float, Study, TrackingError
from optrack.search.stores.mlflow_names import TEXT_LIMIT
from optrack.search.stores.mlflow_tracker import MLFLOW_STATUS, MlflowTracker
from optrack.search.stores.tracking import RunState

# MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

FAMILY = Family(
    "linear",
    architecture="logistic",
    options={"batch_size": 64},
    space={"lr": Float(0.1, 1.0), "optimizer": Categorical("adam", "sgd")},
)
EPOCH = {"train_loss": 0.5, "val_loss": 0.4, "val_accuracy": 0.9}
TAGS = {"optrack.seed": "1", "optrack.device": "cpu", "optrack.threads": "1"}
MODEL_TAGS = {"optrack.stage": "retrain", "optrack.family": "linear", "optrack.trial": "0", **TAGS}


def study_of(name: str = "mine", metric: Any = "val_accuracy") -> Study:
    return Study(name, data=Data("digits"), metric=metric, families=[FAMILY])


@pytest.fixture
def uri(tmp_path: Path, empty_mlflow: Path) -> str:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def tracker(uri: str, digits: Prepared) -> MlflowTracker:
    return MlflowTracker(uri, study_of(), digits)


def opened(
    tracker: MlflowTracker, parent: str, *, known_run: str | None = None, params: Mapping[str, object] | None = None
) -> str:
    return tracker.open_trial(parent, FAMILY, 0, known_run=known_run, params=params or {"lr": 0.5}, tags=TAGS)


def opened_model(tracker: MlflowTracker, parent: str, *, known_run: str | None = None, lr: float = 0.5) -> str:
    return tracker.open_model(parent, "linear, retrained", known_run=known_run, params={"lr": lr}, tags=MODEL_TAGS)


def run_of(tracker: MlflowTracker, run_id: str) -> Run:
    return MlflowClient(tracker.uri).get_run(run_id)


@pytest.mark.parametrize("state", ["finished", "pruned", "failed", "interrupted"])
def test_the_state_of_a_trial_is_a_tag_and_a_status(state: RunState, tracker: MlflowTracker) -> None:
    run_id = opened(tracker, tracker.open_family(FAMILY))
    assert run_of(tracker, run_id).info.status == "RUNNING"
    assert run_of(tracker, run_id).data.tags["optrack.state"] == "running"
    tracker.close_run(run_id, state, reason="why")
    run = run_of(tracker, run_id)
    assert run.info.status == MLFLOW_STATUS[state]
    assert (run.data.tags["optrack.state"], run.data.tags["optrack.reason"]) == (state, "why")
    assert run.info.end_time is not None


def test_only_a_failure_and_an_interruption_are_no_good_end() -> None:
    good = {state for state, status in MLFLOW_STATUS.items() if status == "FINISHED"}
    assert good == {"finished", "pruned"}
    assert (MLFLOW_STATUS["failed"], MLFLOW_STATUS["interrupted"]) == ("FAILED", "KILLED")


def test_an_interrupted_trial_goes_on_in_its_run_with_its_parameters_and_epochs(tracker: MlflowTracker) -> None:
    parent = tracker.open_family(FAMILY)
    run_id = opened(tracker, parent, params={"lr": 0.5, "optimizer": "sgd"})
    tracker.log_epoch(run_id, 1, EPOCH)
    tracker.log_epoch(run_id, 2, EPOCH)
    tracker.close_run(run_id, "interrupted")
    assert tracker.logged_epochs(run_id) == 2

    # What is searched may be spelt in another way by now; MLflow would refuse another value.
    assert opened(tracker, parent, known_run=run_id, params={"lr": 0.25}) == run_id
    run = run_of(tracker, run_id)
    assert run.info.status == "RUNNING"
    assert run.data.params == {"lr": "0.5", "optimizer": "sgd"}
    tracker.log_epoch(run_id, 3, EPOCH)
    history = MlflowClient(tracker.uri).get_metric_history(run_id, "val_accuracy")
    assert [entry.step for entry in history] == [1, 2, 3]


def test_a_model_has_a_run_under_its_familys_and_an_interrupted_one_goes_on_in_it(tracker: MlflowTracker) -> None:
    parent = tracker.open_family(FAMILY)
    run_id = opened_model(tracker, parent)
    run = run_of(tracker, run_id)
    assert (run.info.run_name, run.info.status) == ("linear, retrained", "RUNNING")
    assert {**MODEL_TAGS, "mlflow.parentRunId": parent, "optrack.state": "running"}.items() <= run.data.tags.items()
    assert run.data.params == {"lr": "0.5"}
    tracker.close_run(run_id, "interrupted")
    assert opened_model(tracker, parent, known_run=run_id, lr=0.25) == run_id
    run = run_of(tracker, run_id)
    assert (run.info.status, run.data.tags["optrack.state"]) == ("RUNNING", "running")
    assert run.data.params == {"lr": "0.5"}
    assert opened_model(tracker, parent) != run_id


@pytest.mark.parametrize("opens", [opened, opened_model])
def test_a_run_whose_process_dies_while_it_is_opened_is_known_for_what_it_is(
    opens: Any, tracker: MlflowTracker, uri: str, digits: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    parent = tracker.open_family(FAMILY)
    with monkeypatch.context() as dying:
        dying.setattr(MlflowClient, "log_batch", die)
        with pytest.raises(KeyboardInterrupt):
            opens(tracker, parent)
    query = f"tags.`mlflow.parentRunId` = '{parent}'"
    [left] = MlflowClient(uri).search_runs([tracker.experiment_id], query)
    assert left.data.tags["optrack.state"] == "running"
    assert left.data.tags["optrack.trial"] == "0"
    assert left.data.tags["optrack.seed"] == "1"
    again = MlflowTracker(uri, study_of(), digits)
    assert again.open_family(FAMILY) == parent


def test_a_loss_that_is_no_number_is_recorded_as_such(tracker: MlflowTracker) -> None:
    run_id = opened(tracker, tracker.open_family(FAMILY))
    tracker.log_epoch(run_id, 1, {"train_loss": math.inf, "val_loss": math.nan, "val_accuracy": 0.1})
    metrics = run_of(tracker, run_id).data.metrics
    assert math.isnan(metrics["val_loss"])
    assert metrics["train_loss"] > 1e300
    assert tracker.logged_epochs(run_id) == 1


def test_values_of_all_kinds_are_kept_as_parameters(tracker: MlflowTracker) -> None:
    params = {"batch_norm": True, "depth": 2, "lr": 0.1, "momentum": None, "optimizer": "", "note": "x" * 9000}
    run = run_of(tracker, opened(tracker, tracker.open_family(FAMILY), params=params))
    assert run.data.params == {
        "batch_norm": "True",
        "depth": "2",
        "lr": "0.1",
        "momentum": "None",
        "optimizer": "",
        "note": "x" * TEXT_LIMIT,
    }


def test_a_long_reason_is_cut(tracker: MlflowTracker) -> None:
    run_id = opened(tracker, tracker.open_family(FAMILY))
    tracker.close_run(run_id, "failed", reason="y" * 10_000)
    assert set(run_of(tracker, run_id).data.tags["optrack.reason"]) == {"y"}


def test_a_trial_is_nested_in_its_family_and_named_after_it(tracker: MlflowTracker) -> None:
    parent = tracker.open_family(FAMILY)
    run = run_of(tracker, opened(tracker, parent))
    assert run.info.run_name == "linear 0"
    expected = {
        "mlflow.parentRunId": parent,
        "optrack.family": "linear",
        "optrack.stage": "search",
        "optrack.study": "mine",
        "optrack.trial": "0",
        **TAGS,
    }
    assert expected.items() <= run.data.tags.items()


def test_a_family_is_opened_in_the_run_that_it_has(tracker: MlflowTracker, uri: str, digits: Prepared) -> None:
    run_id = tracker.open_family(FAMILY)
    tracker.close_run(run_id, "finished")
    again = MlflowTracker(uri, study_of(), digits)
    assert again.experiment_id == tracker.experiment_id
    assert again.open_family(FAMILY) == run_id
    run = run_of(again, run_id)
    assert (run.info.status, run.data.tags["optrack.state"]) == ("RUNNING", "running")
    assert run.data.params == {"architecture": "logistic"}
    assert "`lr`, `optimizer`. Fixed: batch_size = 64." in run.data.tags["mlflow.note.content"]


def test_studies_and_families_of_like_names_keep_apart(tracker: MlflowTracker, uri: str, digits: Prepared) -> None:
    other = MlflowTracker(uri, study_of("mine2"), digits)
    like = Family("linear-2", architecture="logistic")
    runs = {tracker.open_family(FAMILY), tracker.open_family(like), other.open_family(FAMILY)}
    assert len(runs) == 3
    assert other.experiment_id != tracker.experiment_id


@pytest.mark.parametrize(("metric", "ascending"), [("val_accuracy", False), ("val_loss", True)])
def test_the_views_of_an_experiment_put_the_best_first(
    metric: str,
    ascending: bool,  # noqa: FBT001 - pytest's form
    uri: str,
    digits: Prepared,
) -> None:
    tracker = MlflowTracker(uri, study_of(metric=metric), digits)
    tags = MlflowClient(uri).get_experiment(tracker.experiment_id).tags
    prefix = "mlflow.sharedViewState."
    views = {name.removeprefix(prefix): json.loads(tags[name]) for name in tags if name.startswith(prefix)}
    best = (f"metrics.`best/{metric}`", ascending)
    expected = {"trials": best, "families": best, "models": ("metrics.`test/accuracy`", False)}
    assert {name: (view["orderByKey"], view["orderByAsc"]) for name, view in views.items()} == expected
    for view in views.values():
        assert view["orderByKey"] in view["selectedColumns"]
    assert tags["mlflow.note.content"].startswith("# mine\n\nSearch on **digits** (1 x 8 x 8, 10 classes, digest `")
    assert "- **linear**: `logistic`, searched in `lr`, `optimizer`" in tags["mlflow.note.content"]


def test_the_best_of_a_family_replaces_the_one_before(tracker: MlflowTracker, tmp_path: Path) -> None:
    parent = tracker.open_family(FAMILY)
    for trial in (0, 3):
        weights = tmp_path / str(trial) / "weights.safetensors"
        weights.parent.mkdir()
        weights.write_text(f"weights of {trial}")
        configuration = {"trial": trial, "lr": trial}
        tracker.log_best(parent, weights=weights, configuration=configuration, metrics={**EPOCH, "epoch": trial + 1})
    client = MlflowClient(tracker.uri)
    assert {item.path for item in client.list_artifacts(parent, "best")} == {
        "best/configuration.json",
        "best/weights.safetensors",
    }
    run = run_of(tracker, parent)
    kept = Path(str(run.info.artifact_uri)) / "best"
    assert (kept / "weights.safetensors").read_text() == "weights of 3"
    assert json.loads((kept / "configuration.json").read_text())["trial"] == 3
    assert (run.data.tags["optrack.best_trial"], run.data.metrics["best/epoch"]) == ("3", 4)


def test_artifacts_lie_beside_the_database_whatever_the_current_folder_is(
    tracker: MlflowTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run_id = tracker.open_family(FAMILY)
    tracker.log_file(run_id, "note.txt", "hello")
    assert (tmp_path / f"mlruns/mine/{run_id}/artifacts/note.txt").read_text() == "hello"


def test_a_deleted_experiment_is_said_to_be_with_the_way_out(uri: str, digits: Prepared) -> None:
    experiment = MlflowTracker(uri, study_of(), digits).experiment_id
    MlflowClient(uri).delete_experiment(experiment)
    with pytest.raises(TrackingError, match=f"'mine' was deleted: .*--experiment-id {experiment}`, or rename"):
        MlflowTracker(uri, study_of(), digits)


def test_what_mlflow_refuses_is_our_error_in_one_line(tracker: MlflowTracker) -> None:
    with pytest.raises(TrackingError) as caught:
        tracker.log_epoch("0" * 32, 1, EPOCH)
    assert str(caught.value).startswith(f"MLflow at {tracker.uri} does not answer: ")
    assert "\n" not in str(caught.value)


def test_a_trial_takes_three_calls_to_open_one_an_epoch_and_two_to_close(
    tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = tracker.open_family(FAMILY)
    called: list[str] = []

    def counted(name: str) -> Any:
        original: Any = getattr(MlflowClient, name)

        def call(*arguments: Any, **options: Any) -> Any:
            called.append(name)
            return original(*arguments, **options)

        return call

    for name in CALLS:
        monkeypatch.setattr(MlflowClient, name, counted(name))
    run_id = opened(tracker, parent)
    assert called == ["create_run", "log_batch", "log_inputs"]
    tracker.log_epoch(run_id, 1, EPOCH)
    assert called[3:] == ["log_batch"]
    tracker.close_run(run_id, "finished", metrics={**EPOCH, "epoch": 1})
    assert called[4:] == ["log_batch", "set_terminated"]


CALLS = (
    *("create_run", "get_run", "update_run", "search_runs", "set_terminated", "get_metric_history"),
    *("log_batch", "log_inputs", "log_param", "log_metric", "set_tag"),
)
