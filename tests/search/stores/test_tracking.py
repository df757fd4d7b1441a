import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from optrack.datasets import Prepared
from optrack.search import Data, Family, Study, TrackingError
from optrack.search.mirror.mlflow_tracker import MlflowTracker
from optrack.search.stores.memory_store import MemoryStore
from optrack.search.stores.mlflow_store import MlflowRuns
from optrack.search.stores.records import data_record
from optrack.search.stores.tracking import RunState, RunStore, Tracker

# MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

FAMILY = Family("linear", architecture="logistic")
EPOCH = {"train_loss": 0.5, "val_loss": 0.4, "val_accuracy": 0.9}
TRIAL_TAGS = {"optrack.seed": "1", "optrack.device": "cpu", "optrack.threads": "1"}


@dataclass(kw_only=True)
class Place:
    """Where one study is recorded, for several processes one after another."""

    data: Prepared
    uri: str | None
    memory: MemoryStore

    def tracker(self) -> Tracker:
        """What a process writes with."""
        if self.uri is None:
            return MemoryStore(self.memory.runs)
        return MlflowTracker(self.uri, Study("mine", data=Data("digits"), families=[FAMILY]), data_record(self.data))

    @property
    def reader(self) -> RunStore:
        """What a process reads with."""
        return self.memory if self.uri is None else MlflowRuns(self.uri, "mine")


@pytest.fixture(params=["memory", "mlflow"])
def place(request: pytest.FixtureRequest, tmp_path: Path, empty_mlflow: Path, digits: Prepared) -> Place:
    """All that is expected of a place where runs are recorded holds for MLflow and for what stands in for it."""
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db" if request.param == "mlflow" else None
    return Place(data=digits, uri=uri, memory=MemoryStore())


@pytest.fixture
def tracker(place: Place) -> Tracker:
    return place.tracker()


def family_of(tracker: Tracker, name: str = "linear") -> str:
    return tracker.create_run(name, {"optrack.stage": "family", "optrack.family": name, "optrack.state": "running"})


def trial_of(tracker: Tracker, parent: str, trial: int = 0) -> str:
    tags = {
        **TRIAL_TAGS,
        "mlflow.parentRunId": parent,
        "optrack.stage": "search",
        "optrack.family": "linear",
        "optrack.trial": str(trial),
        "optrack.state": "running",
    }
    run_id = tracker.create_run(f"linear {trial}", tags)
    tracker.describe_run(run_id, {"lr": 0.5})
    return run_id


def model_of(
    tracker: Tracker, parent: str, number: int = 1, *, stage: str = "retrain", known_run: str | None = None
) -> str:
    tags = {
        **TRIAL_TAGS,
        "optrack.stage": stage,
        "optrack.family": "linear",
        "optrack.trial": "4",
        "optrack.value": "0.25",
        "optrack.number": str(number),
        "optrack.training": f"digest {number}",
    }
    return tracker.open_model(parent, f"linear, seed {number}", known_run=known_run, params={"lr": 0.5}, tags=tags)


def test_the_runs_of_families_are_found_by_their_names(place: Place, tracker: Tracker) -> None:
    expected = {name: family_of(tracker, name) for name in ("linear", "deep")}
    trial_of(tracker, expected["linear"])
    model_of(tracker, expected["linear"])
    assert {name: run.run_id for name, run in place.reader.families().items()} == expected


def test_the_configuration_that_was_retrained_last_stands_with_its_family(place: Place, tracker: Tracker) -> None:
    run_id = family_of(tracker)
    assert place.reader.families()["linear"].candidate is None
    for trial in (3, 5):
        tracker.log(run_id, tags={"optrack.candidate": str(trial)})
        assert place.reader.families()["linear"].candidate == trial


def test_an_interrupted_model_goes_on_in_its_run_with_its_epochs(place: Place, tracker: Tracker) -> None:
    run_id = model_of(tracker, family_of(tracker))
    assert tracker.logged_epochs(run_id) == 0
    tracker.log_epochs(run_id, {1: EPOCH, 2: {"train_loss": math.nan}})
    tracker.close_run(run_id, "interrupted")
    again = place.tracker()
    assert model_of(again, "its parent", known_run=run_id) == run_id
    assert again.logged_epochs(run_id) == 2


def test_all_that_is_recorded_of_a_run_is_read_at_once(place: Place, tracker: Tracker) -> None:
    run_id = trial_of(tracker, family_of(tracker))
    assert tracker.content(run_id).status == "RUNNING"
    tracker.log_epochs(run_id, {2: {"val_loss": 0.25}, 1: EPOCH})
    tracker.log(run_id, tags={"mine": "note"}, metrics={"best/val_loss": 0.25}, step=2)
    tracker.close_run(run_id, "pruned", reason="why")
    content = place.tracker().content(run_id)
    assert content.params == {"lr": "0.5"}
    expected = {**TRIAL_TAGS, "mine": "note", "optrack.state": "pruned", "optrack.reason": "why"}
    assert expected.items() <= content.tags.items()
    assert content.epochs == {1: EPOCH, 2: {"val_loss": 0.25}}
    assert content.metrics["best/val_loss"] == 0.25
    assert content.status == "FINISHED"


def test_parameters_of_a_run_never_change(tracker: Tracker) -> None:
    run_id = trial_of(tracker, family_of(tracker))
    tracker.describe_run(run_id, {"lr": 0.5, "depth": 2})
    with pytest.raises(TrackingError):
        tracker.log(run_id, params={"lr": 0.25})


def test_a_run_that_is_deleted_is_not_found_any_more(place: Place, tracker: Tracker) -> None:
    parent = family_of(tracker)
    runs = [trial_of(tracker, parent, trial) for trial in (0, 1)]
    tracker.delete_run(runs[0])
    assert [run_id for run_id, _, _ in place.reader.recorded({"optrack.stage": "search"})] == runs[1:]


@pytest.mark.parametrize("state", ["finished", "failed", "interrupted"])
def test_a_model_is_read_with_all_that_is_recorded_of_it(state: RunState, place: Place, tracker: Tracker) -> None:
    run_id = model_of(tracker, family_of(tracker))
    [found] = place.reader.find("retrain")
    assert (found.run_id, found.family, found.stage, found.trial, found.value) == (run_id, "linear", "retrain", 4, 0.25)
    assert (found.number, found.seed, found.training, found.threads) == (1, 1, "digest 1", 1)
    assert (found.state, found.openings, found.latency_device, found.tested) == ("running", 0, None, False)
    tracker.close_run(run_id, state, metrics={**EPOCH, "epoch": 3}, reason="why")
    tracker.log(run_id, tags={"optrack.test_openings": "2", "optrack.latency_device": "one CPU thread"})
    tracker.log(run_id, metrics={"test/loss": 0.75, "test/accuracy": 0.5})
    [found] = place.reader.find("retrain")
    assert (found.state, found.openings, found.latency_device, found.tested) == (state, 2, "one CPU thread", True)
    assert found.metrics == {
        "best/train_loss": 0.5,
        "best/val_loss": 0.4,
        "best/val_accuracy": 0.9,
        "best/epoch": 3,
        "test/loss": 0.75,
        "test/accuracy": 0.5,
    }


def test_models_are_found_by_their_stage_the_oldest_first(place: Place, tracker: Tracker) -> None:
    parent = family_of(tracker)
    trial_of(tracker, parent)
    expected = {stage: [model_of(tracker, parent, number, stage=stage) for number in (1, 2, 3)] for stage in STAGES}
    for stage in STAGES:
        found = place.reader.find(stage)
        assert [run.run_id for run in found] == expected[stage]
        assert {run.stage for run in found} == {stage}


def test_epochs_are_put_together_from_their_metrics(place: Place, tracker: Tracker) -> None:
    run_id = model_of(tracker, family_of(tracker))
    [run] = place.reader.find("retrain")
    assert place.reader.epochs(run_id, run.metrics) == {}
    for epoch, loss in ((2, math.nan), (1, 0.5), (10, 0.25)):
        tracker.log_epochs(run_id, {epoch: {"train_loss": loss, "seconds": 2.0}})
    tracker.log_epochs(run_id, {1: {"val_loss": 0.75}})
    tracker.close_run(run_id, "finished", metrics={"train_loss": 0.25, "epoch": 10})
    [run] = place.reader.find("retrain")
    epochs = place.reader.epochs(run_id, run.metrics)
    assert list(epochs) == [1, 2, 10]
    assert epochs[1] == {"train_loss": 0.5, "val_loss": 0.75, "seconds": 2.0}
    assert math.isnan(epochs[2]["train_loss"])
    assert epochs[10] == {"train_loss": 0.25, "seconds": 2.0}
    assert run.metrics["train_loss"] == 0.25  # the value of the last epoch


@pytest.mark.parametrize("content", [b"", bytes(range(256)), b"line\r\nline\n", "text, \u00e4\n"])
@pytest.mark.parametrize("file", ["note.bin", "test/deep/er/predictions.npz"])
def test_a_file_that_was_written_is_read_again(file: str, content: str | bytes, place: Place, tracker: Tracker) -> None:
    run_id = family_of(tracker)
    tracker.log_file(run_id, file, b"before")
    tracker.log_file(run_id, file, content)
    assert place.reader.read(run_id, file) == (content.encode() if isinstance(content, str) else content)


def test_a_folder_is_recorded_listed_and_fetched_until_the_block_ends(
    place: Place, tracker: Tracker, tmp_path: Path
) -> None:
    run_id = family_of(tracker)
    assert place.reader.artifacts(run_id, "model") == []
    (tmp_path / "made/inner").mkdir(parents=True)
    (tmp_path / "made/inner/weights").write_bytes(b"weights")
    (tmp_path / "made/note").write_bytes(b"note")
    tracker.log_folder(run_id, tmp_path / "made", "model")
    tracker.log_file(run_id, "models.txt", "another one")
    assert place.reader.artifacts(run_id, "model") == ["model/inner", "model/note"]
    with place.reader.fetched(run_id, "model") as folder:
        assert (folder / "inner/weights").read_bytes() == b"weights"
        assert (folder / "note").read_bytes() == b"note"
    assert not folder.exists()
    assert place.reader.read(run_id, "model/inner/weights") == b"weights"


@pytest.mark.parametrize("name", ["model", "model/weights", "models.txt/note"])
def test_an_artifact_that_is_not_there_is_named(name: str, place: Place, tracker: Tracker) -> None:
    run_id = family_of(tracker)
    tracker.log_file(run_id, "models.txt", "another one")
    with pytest.raises(TrackingError, match=f"the artifact {name} of run {run_id} is gone"):
        place.reader.read(run_id, name)


def test_a_run_that_is_not_there_cannot_be_written_to(tracker: Tracker) -> None:
    with pytest.raises(TrackingError):
        tracker.log_epochs("0" * 32, {1: EPOCH})


STAGES: tuple[Any, ...] = ("confirm", "retrain")
