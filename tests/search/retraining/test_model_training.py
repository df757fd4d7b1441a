import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from optrack.datasets import Prepared
from optrack.search import Family, Float, TrackingError
from optrack.search.coordinator.observer import Observer
from optrack.search.launchers import EpochEnded, Event, InlineLauncher, WorkerDied, inline
from optrack.search.launchers.pool import Outcome, Work
from optrack.search.retraining.model_training import ModelTrainer, ModelTraining, RunningTraining
from optrack.search.stores.memory_store import MemoryStore
from optrack.search.stores.model_runs import ModelRun, Stage
from optrack.search.stores.trials import Trial, trial_of
from optrack.search.study import EpochResult
from optrack.search.training import Job, TrainingConfig
from optrack.search.training.job import JobKey

Curve = Callable[[Job, int], float]
"""The loss of an epoch; NaN for one that diverges."""


class Record(MemoryStore):
    """In the place of MLflow, over several calls; it can break."""

    broken = False

    def log_epochs(self, run_id: str, epochs: Mapping[int, Mapping[str, float]]) -> None:
        if self.broken:
            raise TrackingError("MLflow does not answer")
        super().log_epochs(run_id, epochs)

    def states(self) -> list[str]:
        return [run.tags["optrack.state"] for run in self.runs.values()]

    def known(self) -> list[ModelRun]:
        """The runs of both stages."""
        return [*self.find("confirm"), *self.find("retrain")]


class Workers:
    """Several workers in this process, which take turns."""

    def __init__(self, count: int = 1, threads: int = 1) -> None:
        self.devices: tuple[str, ...] = ("cpu",) * count
        self.threads = threads
        self.submitted: list[Job] = []
        self._idle = [InlineLauncher() for _ in range(count)]
        self._busy: list[InlineLauncher] = []

    def submit(self, job: Job) -> None:
        self.submitted.append(job)
        self._busy.append(self._idle.pop())
        self._busy[-1].submit(job)

    def next_event(self, timeout_seconds: float) -> Event | None:
        worker = self._busy.pop(0)
        event = worker.next_event(timeout_seconds)
        (self._busy if isinstance(event, EpochEnded) else self._idle).append(worker)
        return event

    def answer(self, key: JobKey, *, go_on: bool) -> None:
        for worker in self._busy:
            worker.answer(key, go_on=go_on)

    def close(self) -> None:
        for worker in self._busy:
            worker.close()


@dataclass(kw_only=True)
class Watcher(Observer):
    """Remembers what it is told, and calls back after each epoch."""

    after_epoch: Callable[[Work], None] = lambda _: None
    heard: list[str] = field(default_factory=list[str])

    def trainings_planned(self, stage: Stage, jobs: Sequence[Job], done: int) -> None:
        self.heard.append(f"{stage}: {len(jobs)} to come, {done} done")

    def started(self, work: Work) -> None:
        self.heard.append(f"started {work.name}")

    def epoch_ended(self, work: Work) -> None:
        self.heard.append(f"epoch {work.epochs[-1].epoch} of {work.name}")
        self.after_epoch(work)

    def ended(self, work: Work, state: str) -> None:
        self.heard.append(f"{state} {work.name}")


@dataclass(kw_only=True)
class Workshop:
    """A record with trainings to be done, once or several times."""

    folder: Path
    record: Record = field(default_factory=Record)
    watcher: Watcher = field(default_factory=Watcher)
    kept: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    trainer: ModelTrainer | None = None

    def train(
        self, planned: Sequence[ModelTraining], *, workers: Workers | None = None, stop_after: int | None = None
    ) -> ModelTrainer:
        """Train, close, and ask to stop when so many epochs have ended."""
        trainer = self.open(workers or Workers())
        left = iter(range((stop_after or 10**6) - 1, -1, -1))

        def stop_at_last(_: Work) -> None:
            if next(left, 0) == 0:
                trainer.stop()

        self.watcher.after_epoch = stop_at_last
        try:
            trainer.train(planned, known=self.record.known(), keep=self.keep)
        finally:
            trainer.close()
        return trainer

    def open(self, workers: Workers) -> ModelTrainer:
        return ModelTrainer(
            tracker=self.record,
            launcher=workers,
            parents={"f": "parent of f"},
            weights=self.folder,
            observer=self.watcher,
        )

    def keep(self, running: RunningTraining) -> Callable[[], None]:
        assert running.job.weights is not None
        weights = running.job.weights

        def write() -> None:
            assert self.record.runs[running.run_id].tags["optrack.state"] == "running"
            self.kept.append((running.plan.number, weights.read_text()))

        return write


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(folder=tmp_path / "weights")


@pytest.fixture(autouse=True)
def curves(monkeypatch: pytest.MonkeyPatch) -> list[Curve]:
    """What takes the place of training follows the last of these."""
    found: list[Curve] = [lambda _, epoch: 1 / epoch]

    def scripted(job: Job) -> Iterator[EpochResult]:
        for epoch in range(1, job.epochs + 1):
            loss = found[-1](job, epoch)
            yield result_of(epoch, loss, validates=job.validates)
            if not math.isfinite(loss):
                break
        if job.weights is not None:
            job.weights.parent.mkdir(parents=True, exist_ok=True)
            job.weights.write_text(f"weights of {job.seed}")

    monkeypatch.setattr("optrack.search.launchers.inline.train", scripted)
    return found


def result_of(epoch: int, loss: float, *, validates: bool = False) -> EpochResult:
    return EpochResult(
        epoch=epoch,
        train_loss=loss,
        train_accuracy=0.5,
        val_loss=loss if validates else None,
        val_accuracy=1 - loss if validates else None,
        lr=0.1,
        seconds=0.5,
    )


PREPARED = Prepared(
    folder=Path("nowhere"),
    name="digits",
    digest="abc",
    split_digest="def",
    layout="embedded",
    input_shape=(1, 8, 8),
    mean=(0.3,),
    std=(0.2,),
    classes=("0", "1"),
    train_images=8,
    validation_images=2,
    split=Path("nowhere"),
)
FAMILY = Family("f", architecture="mlp", options={"width": 16}, space={"lr": Float(0.0, 1.0)})
TRIAL = replace(
    trial_of(create_trial(value=0.9, params={"lr": 0.1}, distributions={"lr": FloatDistribution(0.0, 1.0)})), number=4
)


def planned_of(number: int, *, stage: Stage = "retrain", trial: Trial = TRIAL, **changes: Any) -> Any:
    job = Job(
        family="f",
        trial=trial.number,
        architecture="mlp",
        model={"width": 16},
        training=TrainingConfig(lr=0.1),
        data=PREPARED,
        epochs=3,
        seed=100 + number,
        validates=stage == "confirm",
    )
    return ModelTraining(stage=stage, family=FAMILY, trial=trial, number=number, job=replace(job, **changes))


def three() -> list[ModelTraining]:
    return [planned_of(number) for number in (1, 2, 3)]


def test_a_run_says_whose_configuration_it_trains_and_how(workshop: Workshop) -> None:
    [training] = [planned_of(2)]
    workshop.train([training])
    [(name, run)] = workshop.record.runs.items()
    assert name == "f, retrained, seed 2"
    assert run.params == {"architecture": "mlp", "width": "16", "lr": "0.1"}
    assert run.tags == {
        "mlflow.parentRunId": "parent of f",
        "optrack.stage": "retrain",
        "optrack.family": "f",
        "optrack.trial": "4",
        "optrack.value": "0.9",
        "optrack.number": "2",
        "optrack.training": training.digest,
        "optrack.seed": "102",
        "optrack.device": "cpu",
        "optrack.threads": "1",
        "optrack.state": "finished",
    }
    assert run.epochs == [1, 2, 3]
    assert run.metrics["best/epoch"] == 3
    assert "best/val_accuracy" not in run.metrics


def test_a_race_is_measured_by_its_best_epoch(workshop: Workshop, curves: list[Curve]) -> None:
    curves.append(lambda _, epoch: [0.5, 0.2, 0.4][epoch - 1])
    workshop.train([planned_of(1, stage="confirm")])
    [(name, run)] = workshop.record.runs.items()
    assert name == "f, trial 4 again, seed 1"
    best = {name: run.metrics[f"best/{name}"] for name in ("val_accuracy", "val_loss", "epoch")}
    assert best == pytest.approx({"val_accuracy": 0.8, "val_loss": 0.2, "epoch": 2})


def test_what_is_kept_is_the_finished_model_and_no_weights_are_left(workshop: Workshop) -> None:
    workshop.train(three(), workers=Workers(2))
    assert sorted(workshop.kept) == [(number, f"weights of {100 + number}") for number in (1, 2, 3)]
    assert not workshop.folder.exists()


def test_what_is_there_is_not_trained_again(workshop: Workshop) -> None:
    workshop.train(three()[:2])
    workers = Workers()
    workshop.train(three(), workers=workers)
    assert [job.seed for job in workers.submitted] == [103]
    assert "retrain: 1 to come, 2 done" in workshop.watcher.heard
    assert workshop.record.states() == ["finished"] * 3
    again = Workers()
    workshop.train(three(), workers=again)
    assert again.submitted == []


@pytest.mark.parametrize("workers", [1, 2, 3])
@given(epochs=st.lists(st.integers(1, 9), max_size=3))
def test_however_often_it_is_interrupted_each_epoch_is_recorded_once_and_each_model_kept_once(
    epochs: list[int], workers: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    workshop = Workshop(folder=tmp_path_factory.getbasetemp() / "weights")
    for count in epochs:
        workshop.train(three(), workers=Workers(workers), stop_after=count)
        assert set(workshop.record.states()) <= {"interrupted", "finished"}
    assert workshop.train(three(), workers=Workers(workers)).outcome == Outcome()
    assert workshop.record.states() == ["finished"] * 3
    assert [run.epochs for run in workshop.record.runs.values()] == [[1, 2, 3]] * 3
    assert sorted(number for number, _ in workshop.kept) == [1, 2, 3]


def test_an_interrupted_training_resumes_at_its_checkpoint_also_after_others_were_trained(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed: list[tuple[int, bool]] = []

    def noting(job: Job) -> Iterator[EpochResult]:
        assert job.checkpoint is not None
        resumed.append((job.seed, job.checkpoint.exists()))
        for result in train(job):
            yield result
            job.checkpoint.parent.mkdir(parents=True, exist_ok=True)
            job.checkpoint.touch()

    train = inline.train
    monkeypatch.setattr(inline, "train", noting)
    workshop.train(three()[:1], stop_after=2)
    workshop.train(three()[1:])
    workshop.train(three())
    assert resumed == [(101, False), (102, False), (103, False), (101, True)]
    assert not workshop.folder.exists()


def test_a_run_that_a_dead_process_left_goes_on(workshop: Workshop) -> None:
    workshop.train(three()[:1], stop_after=2)
    [run] = workshop.record.runs.values()
    run.tags["optrack.state"] = "running"
    workshop.train(three()[:1])
    assert (workshop.record.states(), run.epochs) == (["finished"], [1, 2, 3])


def test_a_run_that_was_left_without_its_configuration_gets_it(workshop: Workshop) -> None:
    workshop.train(three()[:1], stop_after=1)
    [run] = workshop.record.runs.values()
    described = dict(run.params)
    run.params.clear()
    workshop.train(three()[:1])
    assert run.params == described


def test_an_interrupted_training_keeps_the_threads_that_its_epochs_were_trained_with(workshop: Workshop) -> None:
    workshop.train(three()[:1], workers=Workers(threads=1), stop_after=1)
    workers = Workers(threads=2)
    workshop.train(three(), workers=workers)
    assert [job.threads for job in workers.submitted] == [1, 2, 2]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_training_that_raises_is_recorded_and_the_others_go_on(
    workers: int, workshop: Workshop, curves: list[Curve]
) -> None:
    def failing(job: Job, epoch: int) -> float:
        if (job.seed, epoch) == (102, 2):
            raise ValueError("no memory")
        return 1 / epoch

    curves.append(failing)
    assert workshop.train(three(), workers=Workers(workers)).outcome == Outcome(failed=1)
    states = {run.tags["optrack.number"]: run.tags["optrack.state"] for run in workshop.record.runs.values()}
    assert states == {"1": "finished", "2": "failed", "3": "finished"}
    failed = next(run for run in workshop.record.runs.values() if run.tags["optrack.state"] == "failed")
    assert failed.tags["optrack.reason"] == "ValueError: no memory"
    assert failed.files["failure.txt"].startswith(b"Traceback")
    assert failed.epochs == [1]
    assert sorted(number for number, _ in workshop.kept) == [1, 3]


class Dying(Workers):
    """Workers of which the one that trains the first seed dies after an epoch, so often as there are `deaths`."""

    def __init__(self, deaths: list[bool]) -> None:
        super().__init__()
        self.deaths = deaths

    def next_event(self, timeout_seconds: float) -> Event | None:
        event = super().next_event(timeout_seconds)
        if self.deaths and event is not None and event.key[2] == 101:
            self.deaths.pop(0)
            launcher = self._busy.pop()
            launcher.close()
            self._idle.append(launcher)
            return WorkerDied(key=event.key, reason="ended with SIGKILL", is_failure=True)
        return event


def test_a_training_whose_worker_dies_is_queued_again_at_most_twice(workshop: Workshop) -> None:
    assert workshop.train(three()[:2], workers=Dying([True, True])).outcome == Outcome()
    assert workshop.record.states() == ["finished", "finished"]
    assert [run.epochs for run in workshop.record.runs.values()] == [[1, 2, 3]] * 2
    other = planned_of(1, epochs=2)
    assert workshop.train([other], workers=Dying([True, True, True])).outcome == Outcome(failed=1)
    *_, failed = workshop.record.runs.values()
    assert (failed.tags["optrack.state"], failed.tags["optrack.reason"]) == ("failed", "ended with SIGKILL")


def test_the_deaths_of_its_workers_outlive_a_retraining_that_is_interrupted(workshop: Workshop) -> None:
    assert workshop.train(three()[:1], workers=Dying([True, True]), stop_after=1).outcome == Outcome(interrupted=True)
    assert workshop.train(three()[:1], workers=Dying([True])).outcome == Outcome(failed=1)
    [run] = workshop.record.runs.values()
    assert (run.tags["optrack.state"], run.tags["optrack.reason"]) == ("failed", "ended with SIGKILL")
    # Who retrains again after that begins anew.
    assert workshop.train(three()[:1], workers=Dying([True])).outcome == Outcome()


class Gate(Record):
    """MLflow that does not answer until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = threading.Event()

    def log_epochs(self, run_id: str, epochs: Mapping[int, Mapping[str, float]]) -> None:
        assert self.opened.wait(20)
        super().log_epochs(run_id, epochs)


def test_trainings_go_on_while_the_record_does_not_answer(tmp_path: Path) -> None:
    record = Gate()
    workshop = Workshop(folder=tmp_path / "weights", record=record)
    workers = Workers(2)
    thread = threading.Thread(target=workshop.train, args=(three(),), kwargs={"workers": workers})
    thread.start()
    heard = workshop.watcher.heard
    while sum(line.startswith("epoch") for line in heard) < 9:
        time.sleep(0.01)
        assert thread.is_alive()
    assert len(workers.submitted) == 3
    assert not any(line.startswith("finished") for line in heard)
    record.opened.set()
    thread.join(20)
    assert [run.epochs for run in record.runs.values()] == [[1, 2, 3]] * 3
    assert record.states() == ["finished"] * 3
    assert sum(line.startswith("finished") for line in heard) == 3


def test_a_training_that_failed_is_tried_again_in_a_run_of_its_own(workshop: Workshop, curves: list[Curve]) -> None:
    curves.append(lambda _, epoch: math.nan if epoch == 2 else 0.5)
    workshop.train(three()[:1])
    curves.append(lambda _, epoch: 1 / epoch)
    workers = Workers()
    assert workshop.train(three()[:1], workers=workers, stop_after=2).outcome == Outcome(interrupted=True)
    workshop.train(three()[:1])
    assert workshop.record.states() == ["failed", "finished"]
    assert [run.epochs for run in workshop.record.runs.values()] == [[1, 2], [1, 2, 3]]


@pytest.mark.parametrize(
    ("stage", "epoch", "bad"),
    [("confirm", 1, math.nan), ("retrain", 1, math.nan), ("retrain", 3, math.nan), ("retrain", 3, math.inf)],
)
def test_a_training_that_diverges_has_failed_and_is_not_kept(
    stage: Stage, epoch: int, bad: float, workshop: Workshop, curves: list[Curve]
) -> None:
    curves.append(lambda _, number: bad if number == epoch else 0.5)
    assert workshop.train([planned_of(1, stage=stage)]).outcome == Outcome(failed=1)
    [run] = workshop.record.runs.values()
    assert run.tags["optrack.state"] == "failed"
    reason = f"diverged in epoch {epoch}: the loss is not finite"
    assert run.tags["optrack.reason"] == reason
    assert run.files == {"failure.txt": reason.encode()}
    assert workshop.kept == []
    assert not any(name.startswith("best/") for name in run.metrics)
    assert not workshop.folder.exists()


def test_a_race_that_diverges_counts_with_what_it_had_reached(workshop: Workshop, curves: list[Curve]) -> None:
    curves.append(lambda _, epoch: [0.5, 0.25, math.nan][epoch - 1])
    assert workshop.train([planned_of(1, stage="confirm")]).outcome == Outcome()
    [run] = workshop.record.runs.values()
    assert run.tags["optrack.state"] == "finished"
    assert (run.metrics["best/val_accuracy"], run.metrics["best/epoch"]) == (0.75, 2)
    assert run.tags["optrack.reason"] == "diverged in epoch 3: the loss is not finite"


def test_nothing_is_left_running_when_the_record_does_not_answer(workshop: Workshop) -> None:
    workshop.record.broken = True
    with pytest.raises(TrackingError, match="MLflow does not answer"):
        workshop.train(three(), workers=Workers(2))
    assert workshop.record.states() == ["interrupted", "interrupted"]
    workshop.record.broken = False
    workshop.train(three())
    assert [run.epochs for run in workshop.record.runs.values()] == [[1, 2, 3]] * 3


def test_nothing_is_left_running_when_a_model_cannot_be_kept(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Workshop, running: RunningTraining) -> None:
        raise TrackingError(f"no room for {running.plan.number}")

    monkeypatch.setattr(Workshop, "keep", refuse)
    with pytest.raises(TrackingError, match="no room for 1"):
        workshop.train(three())
    assert workshop.record.states() == ["interrupted"]


def test_a_stop_before_it_begins_trains_nothing(workshop: Workshop) -> None:
    workers = Workers()
    trainer = workshop.open(workers)
    trainer.stop()
    trainer.train(three(), known=[])
    assert workers.submitted == []


def test_configurations_of_a_race_that_share_a_seed_are_told_apart(workshop: Workshop) -> None:
    others = [replace(TRIAL, number=number) for number in (4, 5)]
    planned = [
        planned_of(number, stage="confirm", trial=trial, model={"width": trial.number})
        for trial in others
        for number in (1, 2)
    ]
    workshop.train(planned, workers=Workers(3))
    assert workshop.record.states() == ["finished"] * 4
    tags = [(run.tags["optrack.trial"], run.tags["optrack.number"]) for run in workshop.record.runs.values()]
    assert sorted(tags) == [("4", "1"), ("4", "2"), ("5", "1"), ("5", "2")]


def test_a_replicate_that_beats_its_original_takes_its_models_over(workshop: Workshop) -> None:
    workshop.train(three())
    workers = Workers()
    replicate = replace(TRIAL, number=9, value=0.95)
    workshop.train([planned_of(number, trial=replicate) for number in (1, 2, 3)], workers=workers)
    assert workers.submitted == []
    tags = [(run.tags["optrack.trial"], run.tags["optrack.value"]) for run in workshop.record.runs.values()]
    assert tags == [("9", "0.95")] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "lenet"},
        {"model": {"width": 17}},
        {"training": TrainingConfig(lr=0.2)},
        {"data": replace(PREPARED, digest="other")},
        {"data": replace(PREPARED, split_digest="other")},
        {"epochs": 4},
        {"patience": 1},
        {"metric": "val_loss"},
        {"seed": 5},
        {"stage": "confirm"},
    ],
)
def test_another_result_has_another_digest(changes: dict[str, Any]) -> None:
    assert planned_of(1, **changes).digest != planned_of(1).digest


@pytest.mark.parametrize(
    "changes", [{"device": "cuda:0"}, {"threads": 8}, {"weights": Path("x")}, {"data": replace(PREPARED, layout="x")}]
)
def test_where_and_how_fast_it_is_trained_does_not_change_the_digest(changes: dict[str, Any]) -> None:
    assert planned_of(1, **changes).digest == planned_of(1).digest


def test_a_watcher_hears_of_everything_in_its_order(workshop: Workshop) -> None:
    workshop.train([planned_of(1, epochs=2)])
    assert workshop.watcher.heard == [
        "retrain: 1 to come, 0 done",
        "started f, retrained, seed 1",
        "epoch 1 of f, retrained, seed 1",
        "epoch 2 of f, retrained, seed 1",
        "finished f, retrained, seed 1",
    ]
