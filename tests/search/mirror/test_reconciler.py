import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution

from optrack.search import Data, Family, Float, Study, TrackingError
from optrack.search.mirror import BestTrial, Reconciler
from optrack.search.stores.memory_store import MemoryStore
from optrack.search.stores.records import FILES_RECORD, ID_RECORD, STATE_RECORD
from optrack.search.stores.tracking import MLFLOW_STATUS
from optrack.search.stores.trials import ENDS, StoredFamily, Trial
from optrack.search.study import EpochResult
from optrack.search.training import OwnCode

FAMILY = Family("f", architecture="mlp", options={"depth": 2}, space={"lr": Float(0.1, 1.0)})
STUDY = Study("s", data=Data("digits"), families=[FAMILY])


def epoch(number: int, value: float = 0.5) -> EpochResult:
    values = dict.fromkeys(("train_loss", "train_accuracy", "val_loss", "val_accuracy"), value)
    return EpochResult(epoch=number, lr=0.1, seconds=1.5, **values)


def trial(number: int, state: Any = "finished", epochs: Sequence[EpochResult] = (), **changes: Any) -> Trial:
    made = Trial(
        number=number,
        state=state,
        value=0.5 if state == "finished" else None,
        params={"lr": 0.25},
        distributions={"lr": FloatDistribution(0.1, 1.0)},
        reported=len(epochs),
        epochs=tuple(epochs),
        seed=7,
        device="cpu",
        threads=1,
        best_epoch=1 if state == "finished" else None,
        planned_epochs=3,
        patience=None,
        replicate_of=None,
        mlflow_run=None,
        reason=None,
        traceback=None,
        started=None,
        ended=datetime(2026, 5, 1) if state in ENDS else None,  # noqa: DTZ001 - as Optuna's are
    )
    return replace(made, **changes)


def family(*trials: Trial, state: str = "finished", search: str = "one") -> StoredFamily:
    kept = {ID_RECORD: search, STATE_RECORD: state}
    return StoredFamily(name="f", optuna_study=cast("Any", None), study=STUDY, trials=trials, kept=kept)


class Counting(MemoryStore):
    """Counts what is written."""

    writes = 0

    def __getattribute__(self, name: str) -> Any:
        if name in {"log", "log_epochs", "log_file", "create_run", "describe_run", "set_status", "delete_run"}:
            Counting.writes += 1
        return super().__getattribute__(name)


@dataclass(kw_only=True)
class Mirrored:
    """A place where runs are, and what is told of them."""

    folder: Path
    runs: MemoryStore = field(default_factory=Counting)
    remembered: dict[int, str] = field(default_factory=dict[int, str])

    def mend(self, stored: StoredFamily, **options: Any) -> Reconciler:
        """Mend as a new process does."""

        def remember(_: str, number: int, run_id: str) -> None:
            self.remembered[number] = run_id

        reconciler = Reconciler(tracker=self.runs, best=self.best, remember=remember, **options)
        reconciler.study(stored)
        return reconciler

    @property
    def best(self) -> BestTrial:
        return BestTrial(self.folder)

    def states(self) -> dict[str, str]:
        return {name: run.tags["optrack.state"] for name, run in self.runs.runs.items()}


@pytest.fixture
def place(tmp_path: Path) -> Mirrored:
    return Mirrored(folder=tmp_path)


def test_all_that_is_stored_of_a_trial_stands_in_its_run(place: Mirrored) -> None:
    told = trial(0, epochs=[epoch(1, 0.5), epoch(2, 0.25)], replicate_of=3, device="cuda:0")
    place.mend(family(told))
    run = place.runs.runs["f 0"]
    assert run.params == {"architecture": "mlp", "depth": "2", "lr": "0.25"}
    expected = {"stage": "search", "family": "f", "trial": "0", "seed": "7", "device": "cuda:0", "threads": "1"}
    expected |= {"replicate_of": "3", "state": "finished", "search_id": "one"}
    assert {f"optrack.{name}": value for name, value in expected.items()}.items() <= run.tags.items()
    assert run.tags["mlflow.parentRunId"] == "f"
    assert run.history["val_loss"] == [(1, 0.5), (2, 0.25)]
    assert run.metrics["best/val_loss"] == 0.5
    assert place.remembered == {0: "f 0"}


def test_states_are_told_in_mlflows_words(place: Mirrored) -> None:
    trials = [
        trial(0, "pruned", [epoch(1)], reason="pruned after epoch 1 by asha"),
        trial(1, "failed", reason="ValueError: no", traceback="Traceback"),
        trial(2, "running", [epoch(1)]),
        trial(3, "waiting", [epoch(1)]),
        trial(4, "waiting", seed=None),
    ]
    place.mend(family(*trials, state="running"))
    assert place.states() == {"f": "running", "f 0": "pruned", "f 1": "failed", "f 2": "running", "f 3": "interrupted"}
    assert place.runs.runs["f 0"].tags["optrack.reason"] == "pruned after epoch 1 by asha"
    assert place.runs.runs["f 1"].files == {"failure.txt": b"Traceback"}
    place.mend(family(*trials, state="running"), alive=False)
    assert place.states()["f"] == place.states()["f 2"] == "interrupted"


MANY = [trial(0, epochs=[epoch(1), epoch(2)]), trial(1, "failed", traceback="why"), trial(2, "waiting", [epoch(1)])]


@pytest.mark.parametrize("thorough", [False, True])
def test_mending_twice_changes_nothing(thorough: bool, place: Mirrored) -> None:  # noqa: FBT001 - pytest's form
    place.best.keep("f", 0, weights=None, configuration={"trial": 0})
    place.mend(family(*MANY))
    Counting.writes = 0
    again = place.mend(family(*MANY), thorough=thorough)
    assert Counting.writes == 0
    assert again.mended.lines("s") == []


def test_what_is_missing_is_written_and_what_people_added_stays(place: Mirrored) -> None:
    place.mend(family(*MANY))
    run = place.runs.runs["f 0"]
    run.tags |= {"mlflow.note.content": "look at this one", "mine": "yes", "optrack.seed": "", "optrack.mirrored": ""}
    del run.tags["optrack.seed"]
    run.params.clear()
    place.runs.runs["f"].params.clear()
    for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds"):
        run.history[name].pop(0)
    del place.runs.runs["f 1"]
    mended = place.mend(family(*MANY)).mended
    assert mended.written == {("f", 0), ("f", 1)}
    assert run.epochs == [2, 1]
    assert run.params["lr"] == "0.25"
    assert place.runs.runs["f"].params == {"architecture": "mlp"}
    assert run.tags["optrack.seed"] == "7"
    assert (run.tags["mlflow.note.content"], run.tags["mine"]) == ("look at this one", "yes")
    assert place.runs.runs["f 1"].files == {"failure.txt": b"why"}


def test_a_failed_trial_that_is_tried_again_loses_its_reason(place: Mirrored) -> None:
    place.mend(family(trial(0, "failed", [epoch(1)], reason="ValueError: no")))
    place.mend(family(trial(0, epochs=[epoch(1), epoch(2)])))
    assert list(place.runs.runs) == ["f", "f 0"]
    tags = place.runs.runs["f 0"].tags
    assert (tags["optrack.state"], tags["optrack.reason"]) == ("finished", "")


@pytest.mark.parametrize("before", ["failed", "waiting"])
def test_a_run_that_was_over_is_ended_anew_where_nobody_saw_it_running_in_between(before: str, place: Mirrored) -> None:
    place.mend(family(trial(0, before, [epoch(1)])))
    assert place.runs.runs["f 0"].status in {"FAILED", "KILLED"}
    place.mend(family(trial(0, "finished", [epoch(1), epoch(2)])))
    assert place.runs.runs["f 0"].status == "FINISHED"


def test_a_thorough_look_finds_what_a_digest_hides(place: Mirrored) -> None:
    place.mend(family(*MANY))
    place.runs.runs["f 0"].history["val_loss"].pop()
    assert place.mend(family(*MANY)).mended.lines("s") == []
    place.runs.runs["f 0"].history.clear()
    place.mend(family(*MANY), thorough=True)
    assert place.runs.runs["f 0"].epochs == [1, 2]


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 8},
        {"params": {"lr": 0.75}},
        {"epochs": (epoch(1, 0.75), epoch(2))},
        {"epochs": (epoch(1),)},
    ],
)
def test_a_run_that_tells_of_another_training_gives_way(other: dict[str, Any], place: Mirrored) -> None:
    place.mend(family(MANY[0]))
    mended = place.mend(family(replace(MANY[0], **other))).mended
    assert mended.removed == 1
    assert len(place.runs.runs) == 2
    assert "f 0" not in place.runs.runs


def test_runs_of_trials_that_there_are_not_give_way(place: Mirrored) -> None:
    place.mend(family(*MANY))
    mended = place.mend(family(*MANY[:1])).mended
    assert sorted(place.states()) == ["f", "f 0"]
    [line] = mended.lines("s")
    assert line.startswith("MLflow held 2 runs of trials that Optuna's storage does not know: moved to MLflow's trash")


def test_runs_of_another_search_of_that_name_stay(place: Mirrored) -> None:
    place.mend(family(*MANY, search="another"))
    mended = place.mend(family(*MANY)).mended
    assert len(place.runs.runs) == 8
    assert mended.lines("s")[-1] == "MLflow also holds 3 runs of another search named 's'"
    assert {run.tags["optrack.search_id"] for run in place.runs.runs.values()} == {"one", "another"}


def test_runs_of_an_earlier_version_are_taken_over_unless_they_tell_of_another_training(place: Mirrored) -> None:
    place.mend(family(*MANY[:2]))
    for run in place.runs.runs.values():
        del run.tags["optrack.search_id"], run.tags["optrack.mirrored"]
    mended = place.mend(family(MANY[0], replace(MANY[1], seed=8))).mended
    assert mended.written == {("f", 1)}  # nothing was missing in the run of the other one
    assert sorted(place.states()) == ["f", "f 0", "f 1", "f 1 (2)"]
    assert "optrack.search_id" not in place.runs.runs["f 1"].tags
    assert place.runs.runs["f 0"].epochs == [1, 2]


def test_the_best_trial_is_replaced_and_comes_back_when_it_is_lost(place: Mirrored) -> None:
    for number in (0, 1):
        weights = place.folder / "weights.safetensors"
        weights.write_text(f"weights of {number}")
        place.best.keep("f", number, weights=weights, configuration={"trial": number})
        place.mend(family(*[trial(each, epochs=[epoch(1)], value=float(each)) for each in range(number + 1)]))
        files = place.runs.runs["f"].files
        assert files["best/weights.safetensors"] == f"weights of {number}".encode()
        assert place.runs.runs["f"].tags["optrack.best_trial"] == str(number)
    files.clear()
    place.mend(family(*[trial(each, epochs=[epoch(1)], value=float(each)) for each in (0, 1)]))
    assert sorted(files) == ["best/configuration.json", "best/weights.safetensors", "study.json"]


class Overtaken(MemoryStore):
    """While the weights of a trial are copied, a better one takes their place."""

    def log_file(self, run_id: str, file: str, content: Any) -> None:
        if isinstance(content, Path):
            content.unlink()
            raise TrackingError("there is no such file")
        super().log_file(run_id, file, content)


def test_weights_that_a_better_trial_replaces_while_they_are_copied_are_no_failure(tmp_path: Path) -> None:
    place = Mirrored(folder=tmp_path, runs=Overtaken())
    place.best.keep("f", 0, weights=None, configuration={"trial": 0})
    place.mend(family(trial(0, epochs=[epoch(1)])))
    assert place.states() == {"f": "finished", "f 0": "finished"}
    assert "optrack.best_trial" not in place.runs.runs["f"].tags


def test_user_defined_code_is_recorded_byte_by_byte(place: Mirrored) -> None:
    code = OwnCode(file="net.py", content="# -*- coding: latin-1 -*-\n# größe".encode("latin-1"))
    stored = family()
    place.mend(replace(stored, kept={**stored.kept, FILES_RECORD: {"source/net.py": code.text}}))
    assert place.runs.runs["f"].files["source/net.py"] == code.content


VALUES = st.one_of(st.floats(), st.sampled_from([math.nan, math.inf, -math.inf]))
EPOCHS = st.lists(VALUES, max_size=4).map(lambda values: [epoch(*each) for each in enumerate(values, 1)])
STATES = st.sampled_from(["finished", "pruned", "failed", "running", "waiting"])


@given(steps=st.lists(st.lists(st.tuples(STATES, EPOCHS, st.integers(0, 1)), max_size=3), min_size=1, max_size=4))
def test_whatever_was_recorded_before_the_runs_end_equal_to_what_is_stored(steps: Any, tmp_path_factory: Any) -> None:
    place = Mirrored(folder=tmp_path_factory.getbasetemp() / "none")
    for step in steps:
        stored = family(*[trial(n, state, epochs, seed=seed) for n, (state, epochs, seed) in enumerate(step)])
        place.mend(stored)
        of_trials = {run.tags["optrack.trial"]: run for run in place.runs.runs.values() if "optrack.trial" in run.tags}
        assert len(of_trials) == len(step) == len(place.runs.runs) - 1
        for told in stored.trials:
            run = of_trials[str(told.number)]
            assert run.tags["optrack.seed"] == str(told.seed)
            assert run.status == MLFLOW_STATUS[run.tags["optrack.state"]]  # pyright: ignore[reportArgumentType]
            recorded = dict(run.history.get("val_loss", ()))
            for each in told.epochs:
                assert recorded[each.epoch] == each.val_loss or math.isnan(recorded[each.epoch])
