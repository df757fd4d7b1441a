import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from optrack.datasets import Prepared
from optrack.search import Data, Family, Study, TrackingError
from optrack.search.stores.memory_store import MemoryStore
from optrack.search.stores.mlflow_store import MlflowRuns
from optrack.search.stores.mlflow_tracker import MlflowTracker
from optrack.search.stores.tracking import RunState, RunStore, Tracker

# MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

FAMILY = Family("linear", architecture="logistic")
OTHER = Family("deep", architecture="mlp")
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
        return MlflowTracker(self.uri, Study("mine", data=Data("digits"), families=[FAMILY, OTHER]), self.data)

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


def trial_of(tracker: Tracker, parent: str, trial: int = 0, *, known_run: str | None = None, lr: float = 0.5) -> str:
    return tracker.open_trial(parent, FAMILY, trial, known_run=known_run, params={"lr": lr}, tags=TRIAL_TAGS)


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


def test_a_family_has_one_run_which_is_found_by_its_name(place: Place, tracker: Tracker) -> None:
    expected = {family.name: tracker.open_family(family) for family in (FAMILY, OTHER)}
    trial_of(tracker, expected["linear"])
    model_of(tracker, expected["linear"])
    tracker.close_run(expected["linear"], "finished")
    assert place.tracker().open_family(FAMILY) == expected["linear"]
    assert {name: run.run_id for name, run in place.reader.families().items()} == expected


def test_the_configuration_that_was_retrained_last_stands_with_its_family(place: Place, tracker: Tracker) -> None:
    run_id = tracker.open_family(FAMILY)
    assert place.reader.families()["linear"].candidate is None
    for trial in (3, 5):
        tracker.log(run_id, tags={"optrack.candidate": str(trial)})
        assert place.reader.families()["linear"].candidate == trial


@pytest.mark.parametrize("opens", [trial_of, model_of])
def test_an_interrupted_run_goes_on_with_its_epochs(opens: Any, place: Place, tracker: Tracker) -> None:
    parent = tracker.open_family(FAMILY)
    run_id = opens(tracker, parent)
    assert tracker.logged_epochs(run_id) == 0
    tracker.log_epoch(run_id, 1, EPOCH)
    tracker.log_epoch(run_id, 2, {"train_loss": math.nan})
    tracker.close_run(run_id, "interrupted")
    again = place.tracker()
    assert opens(again, again.open_family(FAMILY), known_run=run_id) == run_id
    assert again.logged_epochs(run_id) == 2


def test_a_trial_that_goes_on_keeps_the_parameters_that_it_had(place: Place, tracker: Tracker) -> None:
    parent = tracker.open_family(FAMILY)
    run_id = trial_of(tracker, parent)
    assert trial_of(tracker, parent, known_run=run_id, lr=0.25) == run_id
    with pytest.raises(TrackingError):
        tracker.log(run_id, params={"lr": 0.25})
    tracker.log(run_id, params={"lr": 0.5, "depth": 2})


def test_the_run_of_a_trial_that_nobody_else_heard_of_is_taken_up_once(place: Place, tracker: Tracker) -> None:
    parent = tracker.open_family(FAMILY)
    left, ended, model = trial_of(tracker, parent, 0), trial_of(tracker, parent, 1), model_of(tracker, parent)
    tracker.close_run(ended, "finished")
    again = place.tracker()
    assert again.open_family(FAMILY) == parent
    assert trial_of(again, parent, 0) == left
    assert trial_of(again, parent, 0) not in {left, ended, model}
    assert trial_of(again, parent, 1) not in {left, ended, model}


@pytest.mark.parametrize("state", ["finished", "failed", "interrupted"])
def test_a_model_is_read_with_all_that_is_recorded_of_it(state: RunState, place: Place, tracker: Tracker) -> None:
    run_id = model_of(tracker, tracker.open_family(FAMILY))
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
    parent = tracker.open_family(FAMILY)
    trial_of(tracker, parent)
    expected = {stage: [model_of(tracker, parent, number, stage=stage) for number in (1, 2, 3)] for stage in STAGES}
    for stage in STAGES:
        found = place.reader.find(stage)
        assert [run.run_id for run in found] == expected[stage]
        assert {run.stage for run in found} == {stage}


def test_epochs_are_put_together_from_their_metrics(place: Place, tracker: Tracker) -> None:
    run_id = model_of(tracker, tracker.open_family(FAMILY))
    [run] = place.reader.find("retrain")
    assert place.reader.epochs(run) == ()
    for epoch, loss in ((2, math.nan), (1, 0.5), (10, 0.25)):
        tracker.log_epoch(run_id, epoch, {"train_loss": loss, "seconds": 2.0})
    tracker.log_epoch(run_id, 1, {"val_loss": 0.75})
    tracker.close_run(run_id, "finished", metrics={"train_loss": 0.25, "epoch": 10})
    [run] = place.reader.find("retrain")
    first, second, third = place.reader.epochs(run)
    assert first == {"epoch": 1, "train_loss": 0.5, "val_loss": 0.75, "seconds": 2.0}
    assert math.isnan(second["train_loss"])
    assert third == {"epoch": 10, "train_loss": 0.25, "seconds": 2.0}
    assert run.metrics["train_loss"] == 0.25  # the value of the last epoch


@pytest.mark.parametrize("content", [b"", bytes(range(256)), b"line\r\nline\n", "text, \u00e4\n"])
@pytest.mark.parametrize("file", ["note.bin", "test/deep/er/predictions.npz"])
def test_a_file_that_was_written_is_read_again(file: str, content: str | bytes, place: Place, tracker: Tracker) -> None:
    run_id = tracker.open_family(FAMILY)
    tracker.log_file(run_id, file, b"before")
    tracker.log_file(run_id, file, content)
    assert place.reader.read(run_id, file) == (content.encode() if isinstance(content, str) else content)


def test_a_folder_is_recorded_listed_and_fetched_until_the_block_ends(
    place: Place, tracker: Tracker, tmp_path: Path
) -> None:
    run_id = tracker.open_family(FAMILY)
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
    run_id = tracker.open_family(FAMILY)
    tracker.log_file(run_id, "models.txt", "another one")
    with pytest.raises(TrackingError, match=f"the artifact {name} of run {run_id} is gone"):
        place.reader.read(run_id, name)


def test_the_best_of_a_family_replaces_the_one_before(place: Place, tracker: Tracker, tmp_path: Path) -> None:
    run_id = tracker.open_family(FAMILY)
    for trial in (0, 3):
        weights = tmp_path / str(trial) / "weights.safetensors"
        weights.parent.mkdir()
        weights.write_text(f"weights of {trial}")
        tracker.log_best(run_id, weights=weights, configuration={"trial": trial}, metrics={**EPOCH, "epoch": trial})
    assert place.reader.artifacts(run_id, "best") == ["best/configuration.json", "best/weights.safetensors"]
    assert place.reader.read(run_id, "best/weights.safetensors") == b"weights of 3"
    assert json.loads(place.reader.read(run_id, "best/configuration.json")) == {"trial": 3}


def test_a_run_that_is_not_there_cannot_be_written_to(tracker: Tracker) -> None:
    with pytest.raises(TrackingError):
        tracker.log_epoch("0" * 32, 1, EPOCH)


STAGES: tuple[Any, ...] = ("confirm", "retrain")
