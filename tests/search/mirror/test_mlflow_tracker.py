import json
import math
import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from optrack.datasets import Prepared
from optrack.search import Categorical, Data, Family, Float, Study, TrackingError
from optrack.search.mirror.mlflow_tracker import MlflowTracker
from optrack.search.stores.mlflow_names import TEXT_LIMIT
from optrack.search.stores.records import data_record
from optrack.search.stores.tracking import MLFLOW_STATUS, RunState

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
    return MlflowTracker(uri, study_of(), data_record(digits), {"optrack.python": "3.11"})


def opened(tracker: MlflowTracker, *, params: Mapping[str, object] | None = None) -> str:
    run_id = tracker.create_run("linear 0", {**TAGS, "optrack.stage": "search", "optrack.state": "running"})
    tracker.describe_run(run_id, params or {"lr": 0.5})
    return run_id


def opened_model(tracker: MlflowTracker, parent: str, *, known_run: str | None = None, lr: float = 0.5) -> str:
    return tracker.open_model(parent, "linear, retrained", known_run=known_run, params={"lr": lr}, tags=MODEL_TAGS)


def run_of(tracker: MlflowTracker, run_id: str) -> Run:
    return MlflowClient(tracker.uri).get_run(run_id)


@pytest.mark.parametrize("state", ["finished", "pruned", "failed", "interrupted"])
def test_the_state_of_a_trial_is_a_tag_and_a_status(state: RunState, tracker: MlflowTracker) -> None:
    run_id = opened(tracker)
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


def test_a_model_has_a_run_under_its_familys_and_an_interrupted_one_goes_on_in_it(tracker: MlflowTracker) -> None:
    parent = opened(tracker)
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


def test_a_run_whose_process_dies_while_it_is_opened_is_known_for_what_it_is(
    tracker: MlflowTracker, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    parent = opened(tracker)
    with monkeypatch.context() as dying:
        dying.setattr(MlflowClient, "log_batch", die)
        with pytest.raises(KeyboardInterrupt):
            opened_model(tracker, parent)
    query = f"tags.`mlflow.parentRunId` = '{parent}'"
    [left] = MlflowClient(uri).search_runs([tracker.experiment_id], query)
    assert left.data.tags["optrack.state"] == "running"
    assert left.data.tags["optrack.trial"] == "0"
    assert left.data.tags["optrack.seed"] == "1"


def test_a_loss_that_is_no_number_is_recorded_as_such(tracker: MlflowTracker) -> None:
    run_id = opened(tracker)
    tracker.log_epochs(run_id, {1: {"train_loss": math.inf, "val_loss": math.nan, "val_accuracy": 0.1}})
    metrics = run_of(tracker, run_id).data.metrics
    assert math.isnan(metrics["val_loss"])
    assert metrics["train_loss"] > 1e300
    assert tracker.logged_epochs(run_id) == 1


def test_values_of_all_kinds_are_kept_as_parameters(tracker: MlflowTracker) -> None:
    params = {"batch_norm": True, "depth": 2, "lr": 0.1, "momentum": None, "optimizer": "", "note": "x" * 9000}
    run = run_of(tracker, opened(tracker, params=params))
    assert run.data.params == {
        "batch_norm": "True",
        "depth": "2",
        "lr": "0.1",
        "momentum": "None",
        "optimizer": "",
        "note": "x" * TEXT_LIMIT,
    }


def test_a_long_reason_is_cut(tracker: MlflowTracker) -> None:
    run_id = opened(tracker)
    tracker.close_run(run_id, "failed", reason="y" * 10_000)
    assert set(run_of(tracker, run_id).data.tags["optrack.reason"]) == {"y"}


def test_a_run_says_what_it_was_made_with_and_when(tracker: MlflowTracker) -> None:
    started = datetime(2026, 5, 1, 12, 30)  # noqa: DTZ001 - as Optuna keeps it
    tags = {**TAGS, "optrack.stage": "search", "optrack.state": "running"}
    run_id = tracker.create_run("linear 0", tags, started=started)
    tracker.set_status(run_id, "finished", ended=started + timedelta(minutes=2))
    run = run_of(tracker, run_id)
    assert run.info.run_name == "linear 0"
    assert run.info.start_time == started.timestamp() * 1000
    assert run.info.end_time == run.info.start_time + 120_000
    expected = {**TAGS, "optrack.study": "mine", "optrack.python": "3.11", "mlflow.source.name": "optrack run mine"}
    assert expected.items() <= run.data.tags.items()


def test_an_experiment_is_opened_again_and_those_of_like_names_keep_apart(
    tracker: MlflowTracker, uri: str, digits: Prepared
) -> None:
    ids = [MlflowTracker(uri, study_of(name), data_record(digits)).experiment_id for name in ("mine", "mine2")]
    assert ids[0] == tracker.experiment_id != ids[1]


def test_images_of_which_an_earlier_version_stored_digests_alone_are_described_by_them(uri: str) -> None:
    tracker = MlflowTracker(uri, study_of(), {"digest": "abc", "layout": "embedded"})
    run_id = opened(tracker)
    inputs = run_of(tracker, run_id).inputs
    assert inputs is not None
    assert inputs.dataset_inputs == []
    note = MlflowClient(uri).get_experiment(tracker.experiment_id).tags["mlflow.note.content"]
    assert note.startswith("# mine\n\nSearch on **digits**, by best `val_accuracy`")


def test_a_note_that_people_wrote_stays(tracker: MlflowTracker, uri: str, digits: Prepared) -> None:
    MlflowClient(uri).set_experiment_tag(tracker.experiment_id, "mlflow.note.content", "our own words")
    MlflowTracker(uri, study_of(metric="val_loss"), data_record(digits))
    assert MlflowClient(uri).get_experiment(tracker.experiment_id).tags["mlflow.note.content"] == "our own words"


@pytest.mark.parametrize(("metric", "ascending"), [("val_accuracy", False), ("val_loss", True)])
def test_the_views_of_an_experiment_put_the_best_first(
    metric: str,
    ascending: bool,  # noqa: FBT001 - pytest's form
    uri: str,
    digits: Prepared,
) -> None:
    tracker = MlflowTracker(uri, study_of(metric=metric), data_record(digits))
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


def test_artifacts_lie_beside_the_database_whatever_the_current_folder_is(
    tracker: MlflowTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run_id = opened(tracker)
    tracker.log_file(run_id, "note.txt", "hello")
    assert (tmp_path / f"mlruns/mine/{run_id}/artifacts/note.txt").read_text() == "hello"


def test_a_deleted_experiment_is_said_to_be_with_the_way_out(uri: str, digits: Prepared) -> None:
    experiment = MlflowTracker(uri, study_of(), data_record(digits)).experiment_id
    MlflowClient(uri).delete_experiment(experiment)
    with pytest.raises(TrackingError, match=f"'mine' was deleted: .*--experiment-id {experiment}`, or rename"):
        MlflowTracker(uri, study_of(), data_record(digits))


def test_what_mlflow_refuses_is_our_error_in_one_line(tracker: MlflowTracker) -> None:
    with pytest.raises(TrackingError) as caught:
        tracker.log_epochs("0" * 32, {1: EPOCH})
    assert str(caught.value).startswith(f"MLflow at {tracker.uri} does not answer: ")
    assert "\n" not in str(caught.value)


def test_a_run_takes_three_calls_to_open_one_an_epoch_and_two_to_close(
    tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    def counted(name: str) -> Any:
        original: Any = getattr(MlflowClient, name)

        def call(*arguments: Any, **options: Any) -> Any:
            called.append(name)
            return original(*arguments, **options)

        return call

    for name in CALLS:
        monkeypatch.setattr(MlflowClient, name, counted(name))
    run_id = opened(tracker)
    assert called == ["create_run", "log_inputs", "log_batch"]
    tracker.log_epochs(run_id, {1: EPOCH})
    assert called[3:] == ["log_batch"]
    tracker.close_run(run_id, "finished", metrics={**EPOCH, "epoch": 1})
    assert called[4:] == ["set_terminated", "log_batch"]


CALLS = (
    *("create_run", "get_run", "update_run", "search_runs", "set_terminated", "get_metric_history"),
    *("log_batch", "log_inputs", "log_param", "log_metric", "set_tag"),
)
