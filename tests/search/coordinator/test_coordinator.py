import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from optrack.datasets import Prepared
from optrack.search import Budget, Categorical, Data, Family, Float, Int, Pruner, Sampler, Study, TrackingError
from optrack.search.coordinator.coordinator import Coordinator
from optrack.search.coordinator.family_search import FamilySearch
from optrack.search.coordinator.observer import Observer
from optrack.search.coordinator.strategies import seed_of
from optrack.search.launchers import EpochEnded, Event, InlineLauncher, JobEnded, JobFailed, Launcher, WorkerDied
from optrack.search.launchers.pool import Outcome, Work
from optrack.search.mirror import BestTrial, LiveMirror, Reconciler
from optrack.search.stores.memory_store import MemoryStore
from optrack.search.stores.optuna_store import open_storage, read_storage, start_over, stored_families
from optrack.search.stores.records import DATA_RECORD, data_record, remembering
from optrack.search.stores.tracking import RunState
from optrack.search.stores.trials import StoredFamily
from optrack.search.study import EpochResult
from optrack.search.training import Job, TrainingConfig, loop
from optrack.search.training.job import JobKey

Curve = Callable[[Job, int], float | str | None]
"""The metric of an epoch; None for a job that raises there, a signal for a worker that dies there."""


class RecordingTracker(MemoryStore):
    """In the place of MLflow, over several runs of a study: remembers each end, and can break."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.ends: dict[str, list[str]] = {}

    def log_epochs(self, run_id: str, epochs: Mapping[int, Mapping[str, float]]) -> None:
        if self.broken:
            raise TrackingError("MLflow does not answer")
        super().log_epochs(run_id, epochs)

    def set_status(self, run_id: str, state: RunState, *, ended: datetime | None = None) -> None:
        super().set_status(run_id, state, ended=ended)
        if state != "running":
            self.ends.setdefault(run_id, []).append(state)

    def values(self, run_id: str) -> list[dict[str, float]]:
        """What is recorded of each epoch."""
        return [{"epoch": epoch, **metrics} for epoch, metrics in self.content(run_id).epochs.items()]

    def best_values(self, run_id: str) -> dict[str, float]:
        """What is recorded of the best epoch."""
        metrics = self.runs[run_id].metrics
        return {name.removeprefix("best/"): value for name, value in metrics.items() if name.startswith("best/")}


class RecordingBest(BestTrial):
    """Remembers what was kept of each trial that was a family's best one."""

    entries: ClassVar[dict[Path, list[dict[str, Any]]]] = {}

    def keep(self, family: str, trial: int, *, weights: Path | None, configuration: Mapping[str, Any]) -> None:
        content = weights.read_bytes() if weights is not None and weights.exists() else None
        super().keep(family, trial, weights=weights, configuration=configuration)
        self.entries.setdefault(self.folder / family, []).append(
            {"weights": content, "configuration": dict(configuration)}
        )


class ScriptedLauncher:
    """In the place of workers: each job's metric follows a curve, and jobs take turns."""

    def __init__(self, curve: Curve, workers: int = 1) -> None:
        self.devices: tuple[str, ...] = ("cpu",) * workers
        self.threads = 1
        self.closed = False
        self.submitted: list[Job] = []
        self._curve = curve
        self._turns: list[tuple[Job, int]] = []
        self._stopped: set[JobKey] = set()

    def submit(self, job: Job) -> None:
        assert len(self._turns) < len(self.devices)
        self.submitted.append(job)
        self._turns.append((job, 1))

    def next_event(self, timeout_seconds: float) -> Event | None:  # noqa: ARG002 - nothing takes time
        if not self._turns:
            return None
        job, epoch = self._turns.pop(0)
        if epoch > job.epochs or job.key in self._stopped:
            if job.weights is not None and job.key not in self._stopped:
                job.weights.parent.mkdir(parents=True, exist_ok=True)
                job.weights.write_text(f"{job.family} {job.trial}")
            self._stopped.discard(job.key)
            return JobEnded(key=job.key)
        value = self._curve(job, epoch)
        if isinstance(value, str):
            return WorkerDied(key=job.key, reason=f"ended with {value}", is_failure=value != "SIGTERM")
        if value is None:
            return JobFailed(key=job.key, reason="ValueError: no", details="Traceback\nValueError: no")
        # As a worker does, a job that has diverged ends by itself.
        self._turns.append((job, epoch + 1 if math.isfinite(value) else job.epochs + 1))
        return EpochEnded(key=job.key, result=epoch_result(epoch, value))

    def answer(self, key: JobKey, *, go_on: bool) -> None:
        if not go_on:
            self._stopped.add(key)

    def close(self) -> None:
        self.closed = True
        self._turns = []


def epoch_result(epoch: int, value: float) -> EpochResult:
    return EpochResult(
        epoch=epoch, train_loss=value, train_accuracy=value, val_loss=value, val_accuracy=value, lr=0.1, seconds=0.5
    )


@dataclass(kw_only=True)
class Watcher(Observer):
    """An observer that calls back after each epoch and counts."""

    after_epoch: Callable[[Work], None] = lambda _: None
    heard: list[str] = field(default_factory=list[str])

    def study_opened(self, searches: Mapping[str, FamilySearch]) -> None:
        self.heard.append(f"opened {', '.join(searches)}")

    def started(self, work: Work) -> None:
        self.heard.append(f"started {work.job.trial}")

    def epoch_ended(self, work: Work) -> None:
        self.heard.append(f"epoch {work.epochs[-1].epoch} of {work.job.trial}")
        self.after_epoch(work)

    def died(self, work: Work, reason: str) -> None:
        self.heard.append(f"worker of {work.job.trial} {reason}")

    def family_stopped(self, family: str, reason: str) -> None:
        self.heard.append(f"{family} stopped: {reason}")

    def ended(self, work: Work, state: str) -> None:
        self.heard.append(f"{state} {work.job.trial}")


@dataclass(kw_only=True)
class Stage:
    """A study with its stores, run once or several times."""

    data: Prepared
    folder: Path
    tracker: RecordingTracker = field(default_factory=RecordingTracker)
    notices: list[str] = field(default_factory=list[str])
    watcher: Watcher = field(default_factory=Watcher)
    coordinator: Coordinator | None = None

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'optuna.db'}"

    @property
    def weights(self) -> Path:
        return self.folder / "weights"

    def run(self, study: Study, launcher: Launcher | Curve | None = None) -> Outcome:
        if launcher is None:
            launcher = InlineLauncher()
        elif callable(launcher):
            launcher = ScriptedLauncher(launcher)
        self.coordinator = self.open(study, launcher)
        return self.coordinator.run()

    def open(self, study: Study, launcher: Launcher) -> Coordinator:
        storage, best = open_storage(self.url), RecordingBest(self.folder / "best")

        def reconciler() -> Reconciler:
            return Reconciler(tracker=self.tracker, best=best, remember=remembering(storage, study.name))

        return Coordinator(
            study=study,
            storage=storage,
            launcher=launcher,
            data=self.data,
            weights=self.weights,
            observer=self.watcher,
            best=best,
            mirror=LiveMirror(storage=storage, study=study.name, opened=reconciler, notice=self.notices.append),
            members=[family.name for family in study.families],
        )

    def run_until(self, study: Study, epochs: int, launcher: Launcher | Curve | None = None) -> Outcome:
        """Run, and ask to stop when so many epochs have ended."""
        left = iter(range(epochs - 1, -1, -1))

        def stop_at_last(_: Work) -> None:
            if next(left, 0) == 0:
                assert self.coordinator is not None
                self.coordinator.stop()

        self.watcher = Watcher(after_epoch=stop_at_last)
        outcome = self.run(study, launcher)
        self.watcher = Watcher()
        return outcome

    def kept(self, family: str = "f") -> list[dict[str, Any]]:
        """What was kept of the trials that were the family's best one, one after another."""
        return RecordingBest.entries.get(self.folder / "best" / family, [])

    def families(self, study: str = "s") -> list[StoredFamily]:
        return stored_families(read_storage(self.url), study)

    def trials(self) -> list[FrozenTrial]:
        return self.families()[0].optuna_study.get_trials(deepcopy=False)

    def epochs(self, trial: int) -> list[dict[str, Any]]:
        """What is stored of each epoch of a trial."""
        return [asdict(epoch) for epoch in self.families()[0].trials[trial].epochs]

    def states(self) -> list[str]:
        return [trial.state.name for trial in self.trials()]

    def trained_epochs(self) -> int:
        return sum(len(trial.intermediate_values) for trial in self.trials())


@pytest.fixture
def stage(digits: Prepared, tmp_path: Path) -> Stage:
    return Stage(data=digits, folder=tmp_path)


SPACE: dict[str, Any] = {"lr": Float(1e-3, 0.1, log=True), "depth": Int(1, 2)}


def family_of(name: str = "f", **changes: Any) -> Family:
    options = {"batch_size": 256, "width": 16}
    parts: dict[str, Any] = {"architecture": "mlp", "options": options, "space": SPACE}
    return Family(name, **{**parts, **changes})


def study_of(**changes: Any) -> Study:
    parts: dict[str, Any] = {
        "data": Data("digits"),
        "families": [family_of()],
        "budget": Budget(trials=3, epochs=4),
        "sampler": Sampler("random"),
        "pruner": Pruner("none"),
    }
    return Study("s", **{**parts, **changes})


def rising(job: Job, epoch: int) -> float:
    return (job.trial + 1) / 100 + epoch / 1000


def without_seconds(record: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in record]


def test_a_study_on_real_images_runs_to_its_end_and_both_records_agree(stage: Stage) -> None:
    outcome = stage.run(study_of(seed=3))
    assert outcome == Outcome()
    assert stage.states() == 3 * ["COMPLETE"]
    for trial in stage.trials():
        run = f"f {trial.number}"
        record = stage.epochs(trial.number)
        assert [epoch["epoch"] for epoch in record] == [1, 2, 3, 4]
        assert trial.intermediate_values == {epoch["epoch"]: epoch["val_accuracy"] for epoch in record}
        accuracies = [epoch["val_accuracy"] for epoch in record]
        assert trial.value == max(accuracies)
        assert trial.user_attrs["best_epoch"] == accuracies.index(max(accuracies)) + 1
        assert trial.user_attrs["seed"] == seed_of(3, "f", trial.number)
        assert stage.families()[0].trials[trial.number].mlflow_run == run
        assert stage.tracker.values(run) == record
        params = {"architecture": "mlp", "batch_size": 256, "width": 16, **trial.params}
        assert stage.tracker.runs[run].params == {name: str(value) for name, value in params.items()}
        assert stage.tracker.runs[run].tags["optrack.seed"] == str(trial.user_attrs["seed"])
        assert stage.tracker.ends[run] == ["finished"]
        best = record[int(trial.user_attrs["best_epoch"]) - 1]
        assert stage.tracker.best_values(run) == best
        assert "optrack.reason" not in stage.tracker.runs[run].tags
    assert stage.tracker.ends["f"] == ["finished"]


def test_the_study_and_the_images_are_stored_with_each_family(stage: Stage) -> None:
    study = study_of(families=[family_of("a"), family_of("b")], budget=Budget(trials=1, epochs=1))
    stage.run(study, rising)
    for family in stage.families():
        assert family.study == study
        assert family.kept[DATA_RECORD] == data_record(stage.data)
        assert family.optuna_study.user_attrs == {}  # Optuna's own tools print all of them
        assert stage.tracker.runs[family.name].files["study.json"].decode() == study.to_json()


def test_a_job_has_what_its_trial_was_given(stage: Stage) -> None:
    launcher = ScriptedLauncher(rising)
    options = {"batch_size": 64, "optimizer": "sgd", "batch_norm": True}
    family = family_of(options=options, start=[{"lr": 0.01, "depth": 2}])
    budget = Budget(trials=1, epochs=7, patience=2)
    stage.run(study_of(families=[family], budget=budget, metric="val_loss"), launcher)
    [job] = launcher.submitted
    assert job == Job(
        family="f",
        trial=0,
        architecture="mlp",
        model={"batch_norm": True, "depth": 2},
        training=TrainingConfig(batch_size=64, optimizer="sgd", lr=0.01),
        data=stage.data,
        epochs=7,
        patience=2,
        metric="val_loss",
        seed=seed_of(0, "f", 0),
        device="cpu",
        threads=1,
        weights=stage.weights / "f" / "0" / "weights.safetensors",
        checkpoint=stage.weights / "f" / "0" / "checkpoint",
    )


def test_start_configurations_are_tried_first(stage: Stage) -> None:
    stage.run(study_of(families=[family_of(start=[{"lr": 0.002}, {"depth": 2}])]), rising)
    first, second, _ = stage.trials()
    assert first.params["lr"] == 0.002
    assert second.params["depth"] == 2


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_there_are_exactly_as_many_trials_as_the_budget_says_with_the_stored_ones(stage: Stage, workers: int) -> None:
    for trials, new in [(2, 2), (5, 3), (5, 0), (4, 0)]:
        launcher = ScriptedLauncher(rising, workers)
        stage.run(study_of(budget=Budget(trials=trials, epochs=2)), launcher)
        assert len(launcher.submitted) == new
        assert launcher.closed
    assert stage.states() == 5 * ["COMPLETE"]


def test_families_take_turns_and_each_has_the_budget(stage: Stage) -> None:
    launcher = ScriptedLauncher(rising)
    study = study_of(families=[family_of("a"), family_of("b")], budget=Budget(trials=2, epochs=1))
    stage.run(study, launcher)
    assert [(job.family, job.trial) for job in launcher.submitted] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]


def test_a_family_that_is_added_catches_up(stage: Stage) -> None:
    stage.run(study_of(families=[family_of("a")], budget=Budget(trials=2, epochs=1)), rising)
    launcher = ScriptedLauncher(rising)
    stage.run(study_of(families=[family_of("a"), family_of("b")], budget=Budget(trials=3, epochs=1)), launcher)
    assert [(job.family, job.trial) for job in launcher.submitted] == [("b", 0), ("b", 1), ("a", 2), ("b", 2)]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("total", [1, 4, 7, 11])
def test_exactly_as_many_epochs_are_trained_as_the_budget_says(stage: Stage, workers: int, total: int) -> None:
    study = study_of(budget=Budget(trials=99, epochs=4, total_epochs=total))
    stage.run(study, ScriptedLauncher(rising, workers))
    assert stage.trained_epochs() == total
    assert set(stage.states()) <= {"COMPLETE", "PRUNED"}
    reasons = [trial.user_attrs.get("reason") for trial in stage.trials() if trial.state == TrialState.PRUNED]
    assert set(reasons) <= {f"the family's {total} epochs are spent"}
    launcher = ScriptedLauncher(rising, workers)
    stage.run(study, launcher)
    assert launcher.submitted == []
    stage.run(replace(study, budget=replace(study.budget, total_epochs=total + 3)), ScriptedLauncher(rising, workers))
    assert stage.trained_epochs() == total + 3


@pytest.mark.parametrize("workers", [1, 2])
def test_epochs_that_pruned_and_failed_trials_leave_over_are_given_to_others(stage: Stage, workers: int) -> None:
    def failing(job: Job, epoch: int) -> float | None:
        return None if job.trial % 3 == 0 and epoch == 2 else 1 / (job.trial + 1) + epoch / 1000

    study = study_of(budget=Budget(trials=99, epochs=4, total_epochs=20), pruner=Pruner("asha"))
    stage.run(study, ScriptedLauncher(failing, workers))
    assert stage.trained_epochs() == 20
    assert {"PRUNED", "FAIL"} <= set(stage.states())


def test_a_timeout_interrupts_what_runs(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("optrack.search.launchers.pool.time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow(job: Job, epoch: int) -> float:
        now[0] += 10
        return rising(job, epoch)

    outcome = stage.run(study_of(budget=Budget(trials=99, epochs=2, timeout_seconds=45.0)), slow)
    assert outcome.timed_out
    assert not outcome.interrupted
    assert stage.states() == ["COMPLETE", "COMPLETE", "WAITING"]
    assert stage.trained_epochs() == 5
    assert stage.tracker.ends["f"] == ["interrupted"]
    assert stage.tracker.ends["f 2"] == ["interrupted"]


def test_a_run_that_ends_by_itself_is_not_timed_out(stage: Stage) -> None:
    outcome = stage.run(study_of(budget=Budget(trials=1, epochs=1, timeout_seconds=60.0)), rising)
    assert not outcome.timed_out


def test_a_hopeless_trial_is_pruned_after_an_epoch_and_trains_no_more(stage: Stage) -> None:
    def falling(job: Job, epoch: int) -> float:
        return 1 / (job.trial + 1) + epoch / 1000

    stage.run(study_of(budget=Budget(trials=4, epochs=8), pruner=Pruner("asha")), falling)
    first, *others = stage.trials()
    assert first.state == TrialState.COMPLETE
    assert len(first.intermediate_values) == 8
    for trial in others:
        assert trial.state == TrialState.PRUNED
        assert len(trial.intermediate_values) == 1
        assert trial.user_attrs["reason"] == "pruned after epoch 1 by asha"
        assert len(stage.epochs(trial.number)) == 1
        run = f"f {trial.number}"
        assert stage.tracker.ends[run] == ["pruned"]
        assert stage.tracker.runs[run].tags["optrack.reason"] == "pruned after epoch 1 by asha"
        assert stage.tracker.runs[run].epochs == [1]


@pytest.mark.parametrize(("metric", "value", "epoch"), [("val_accuracy", 0.5, 2), ("val_loss", 0.1, 3)])
def test_the_value_of_a_trial_is_its_best_epochs(stage: Stage, metric: Any, value: float, epoch: int) -> None:
    stage.run(
        study_of(metric=metric, budget=Budget(trials=1, epochs=4)), lambda _, epoch: [0.3, 0.5, 0.1, 0.2][epoch - 1]
    )
    [trial] = stage.trials()
    assert trial.value == value
    assert trial.user_attrs["best_epoch"] == epoch
    assert stage.tracker.best_values("f 0") == asdict(epoch_result(epoch, value))


@pytest.mark.parametrize(("metric", "best"), [("val_accuracy", [0, 2]), ("val_loss", [0, 1])])
def test_only_weights_that_are_the_familys_best_are_kept_and_no_file_is_left(
    stage: Stage, metric: Any, best: list[int]
) -> None:
    values = [0.5, 0.3, 0.7, 0.7, 0.3]
    stage.run(study_of(metric=metric, budget=Budget(trials=5, epochs=2)), lambda job, _: values[job.trial])
    kept = stage.kept()
    assert [entry["configuration"]["trial"] for entry in kept] == best
    assert [entry["weights"] for entry in kept] == [f"f {trial}".encode() for trial in best]
    assert not stage.weights.exists()


def test_the_weights_of_a_trial_are_gone_when_the_next_one_trains(stage: Stage) -> None:
    found: list[Path] = []
    stage.watcher = Watcher(after_epoch=lambda _: found.extend(stage.weights.rglob("*.safetensors")))
    stage.run(study_of(), rising)
    assert [entry["configuration"]["trial"] for entry in stage.kept()] == [0, 1, 2]
    assert found == []


def test_what_a_process_left_of_an_earlier_best_trial_is_removed_by_the_next_one(stage: Stage) -> None:
    stage.run(study_of(budget=Budget(trials=2, epochs=1)), rising)
    for name in ("0", "1.unfinished"):
        (stage.folder / "best" / "f" / name).mkdir()
    stage.run(study_of(budget=Budget(trials=2, epochs=1)), rising)
    assert [path.name for path in (stage.folder / "best" / "f").iterdir()] == ["1"]


def test_a_later_run_keeps_only_what_beats_the_stored_best(stage: Stage) -> None:
    values = [0.5, 0.7, 0.6, 0.8]
    for trials in (2, 3, 4):
        stage.run(study_of(budget=Budget(trials=trials, epochs=1)), lambda job, _: values[job.trial])
    assert [entry["configuration"]["trial"] for entry in stage.kept()] == [0, 1, 3]


def test_the_kept_configuration_says_all_that_is_needed_to_use_the_weights(stage: Stage) -> None:
    stage.run(study_of(budget=Budget(trials=1, epochs=2)))
    [entry] = stage.kept()
    [trial] = stage.trials()
    configuration = entry["configuration"]
    assert entry["weights"]
    assert configuration["study"] == "s"
    assert configuration["family"] == "f"
    assert configuration["trial"] == 0
    assert configuration["metric"] == "val_accuracy"
    assert configuration["value"] == trial.value
    assert configuration["epoch"] == trial.user_attrs["best_epoch"]
    assert configuration["architecture"] == "mlp"
    assert configuration["model"] == {"width": 16, "depth": trial.params["depth"]}
    assert configuration["training"] == asdict(TrainingConfig(batch_size=256, lr=trial.params["lr"]))
    assert configuration["seed"] == trial.user_attrs["seed"]
    assert configuration["input"] == [1, 8, 8]
    assert configuration["classes"] == list("0123456789")
    assert len(configuration["mean"]) == len(configuration["std"]) == 1
    assert configuration["data"]["digest"] == stage.data.digest
    assert stage.tracker.best_values("f")["epoch"] == configuration["epoch"]
    assert stage.tracker.runs["f"].files["best/weights.safetensors"] == entry["weights"]
    assert json.loads(stage.tracker.runs["f"].files["best/configuration.json"]) == configuration


def test_a_job_that_fails_is_recorded_and_counts_and_the_others_run(stage: Stage) -> None:
    def failing(job: Job, epoch: int) -> float | None:
        return None if job.trial == 1 and epoch == 2 else rising(job, epoch)

    outcome = stage.run(study_of(), failing)
    assert outcome == Outcome(failed=1)
    assert stage.states() == ["COMPLETE", "FAIL", "COMPLETE"]
    failed = stage.trials()[1]
    assert failed.user_attrs["reason"] == "ValueError: no"
    assert len(stage.epochs(1)) == 1
    assert stage.tracker.ends["f 1"] == ["failed"]
    assert stage.tracker.runs["f 1"].files["failure.txt"] == b"Traceback\nValueError: no"
    assert stage.run(study_of(), failing).failed == 0


def test_a_job_that_fails_before_its_first_epoch_has_no_best_one(stage: Stage) -> None:
    stage.run(study_of(budget=Budget(trials=1, epochs=2, total_epochs=5)), lambda _job, _epoch: None)
    [trial] = stage.trials()
    assert trial.state == TrialState.FAIL
    assert stage.epochs(0) == []
    assert trial.user_attrs["best_epoch"] is None
    assert stage.kept() == []


@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_trial_that_diverges_late_counts_with_its_best_epoch(stage: Stage, metric: Any, bad: float) -> None:
    study = study_of(metric=metric, budget=Budget(trials=1, epochs=9))
    stage.run(study, lambda _, epoch: [0.5, 0.25, bad][epoch - 1])
    [trial] = stage.trials()
    best = 1 if metric == "val_accuracy" else 2
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.5 / best)
    assert trial.user_attrs["reason"] == "diverged in epoch 3: the loss is not finite"
    assert trial.user_attrs["best_epoch"] == best
    assert len(stage.epochs(0)) == 3
    [kept] = stage.kept()
    assert kept["weights"] == b"f 0"
    assert (kept["configuration"]["value"], kept["configuration"]["epoch"]) == (trial.value, best)
    assert stage.tracker.ends["f 0"] == ["finished"]
    assert stage.tracker.runs["f 0"].tags["optrack.reason"] == trial.user_attrs["reason"]


def test_a_trial_that_was_interrupted_after_it_diverged_counts_with_its_best_epoch_too(stage: Stage) -> None:
    study = study_of(budget=Budget(trials=1, epochs=9))

    def curve(_: Job, epoch: int) -> float:
        return [0.5, math.nan][epoch - 1]

    stage.run_until(study, 2, curve)
    assert stage.states() == ["WAITING"]
    stage.run(study, curve)
    [trial] = stage.trials()
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.5)
    assert trial.user_attrs["reason"] == "diverged in epoch 2: the loss is not finite"
    assert len(stage.kept()) == 1


@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
@pytest.mark.parametrize("epochs", [1, 3])
def test_a_trial_without_an_epoch_of_finite_loss_is_pruned_as_diverged(stage: Stage, metric: Any, epochs: int) -> None:
    stage.run(study_of(metric=metric, budget=Budget(trials=1, epochs=epochs)), lambda _job, _epoch: math.nan)
    [trial] = stage.trials()
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs["reason"] == "diverged in epoch 1: the loss is not finite"
    assert trial.user_attrs["best_epoch"] is None
    assert stage.kept() == []


def test_what_really_diverges_in_its_first_epoch_has_no_value_though_its_accuracy_is_a_number(stage: Stage) -> None:
    options = {"batch_size": 256, "width": 16, "optimizer": "sgd", "lr": 1e9}
    family = family_of(options=options, space={"depth": Int(3, 4)})
    study = study_of(families=[family], budget=Budget(trials=2, epochs=3))
    stage.run(study)
    assert stage.states() == ["PRUNED", "PRUNED"]
    assert [epoch["val_accuracy"] > 0 for epoch in stage.epochs(0)] == [True]
    assert stage.families()[0].all_diverged
    stage.run(replace(study, budget=Budget(trials=3, epochs=3)), rising)
    assert not stage.families()[0].all_diverged


def test_an_interrupted_trial_waits_and_no_run_is_left_running(stage: Stage) -> None:
    launcher = ScriptedLauncher(rising, workers=2)
    outcome = stage.run_until(study_of(), epochs=3, launcher=launcher)
    assert outcome.interrupted
    assert not outcome.timed_out
    assert launcher.closed
    assert stage.states() == ["WAITING", "WAITING"]
    assert stage.tracker.ends == {"f 0": ["interrupted"], "f 1": ["interrupted"], "f": ["interrupted"]}
    assert not stage.weights.exists()


@pytest.mark.parametrize("epochs", [1, 4, 5, 7, 10])
def test_a_study_that_is_interrupted_after_any_epoch_ends_as_one_that_never_was(
    epochs: int, digits: Prepared, tmp_path: Path
) -> None:
    stages = {name: Stage(data=digits, folder=tmp_path / name) for name in ("through", "interrupted")}
    for stage in stages.values():
        stage.folder.mkdir()
    study = study_of(budget=Budget(trials=99, epochs=4, total_epochs=10), pruner=Pruner("asha"))

    def curve(job: Job, epoch: int) -> float:
        return [0.5, 0.3, 0.6, 0.2][job.trial % 4] + epoch / 100

    stages["through"].run(study, curve)
    stages["interrupted"].run_until(study, epochs, curve)
    assert stages["interrupted"].trained_epochs() == epochs
    stages["interrupted"].run(study, curve)
    expected, found = (trial_records(stage) for stage in stages.values())
    assert found == expected
    assert stages["interrupted"].trained_epochs() == 10
    interrupted, through = (stages[name].tracker for name in ("interrupted", "through"))
    assert {name: run.history for name, run in interrupted.runs.items()} == {
        name: run.history for name, run in through.runs.items()
    }


def trial_records(stage: Stage) -> list[Any]:
    return [
        (
            *(trial.number, trial.state.name, trial.params, trial.value, trial.intermediate_values),
            {name: value for name, value in trial.user_attrs.items() if name != "deaths"},
            without_seconds(stage.epochs(trial.number)),
        )
        for trial in stage.trials()
    ]


@pytest.mark.parametrize("change", [{}, {"seed": 7}, {"sampler": Sampler("tpe")}])
def test_a_trial_that_goes_on_has_the_same_numbers_though_the_study_changed(
    change: dict[str, Any], digits: Prepared, tmp_path: Path
) -> None:
    through, interrupted = (Stage(data=digits, folder=tmp_path / name) for name in ("through", "interrupted"))
    for stage in (through, interrupted):
        stage.folder.mkdir()
    study = study_of(budget=Budget(trials=2, epochs=4))
    through.run(study)
    interrupted.run_until(study, epochs=6)
    assert interrupted.states() == ["COMPLETE", "WAITING"]
    interrupted.run(replace(study, **change))
    assert trial_records(interrupted) == trial_records(through)
    assert interrupted.tracker.ends["f 1"] == ["interrupted", "finished"]
    assert [interrupted.tracker.runs[f"f {number}"].epochs for number in (0, 1)] == [[1, 2, 3, 4]] * 2


def test_epochs_that_mlflow_lacks_are_written_once(stage: Stage) -> None:
    study = study_of(budget=Budget(trials=1, epochs=4))
    stage.run_until(study, 3, rising)
    for values in stage.tracker.runs["f 0"].history.values():
        values.pop()  # as if the process was killed between the two
    stage.run(study, rising)
    assert stage.tracker.runs["f 0"].epochs == [1, 2, 3, 4]
    assert list(stage.trials()[0].intermediate_values) == [1, 2, 3, 4]


def test_a_trial_of_a_process_that_died_goes_on_under_its_number(stage: Stage) -> None:
    study = study_of(budget=Budget(trials=1, epochs=3))
    stage.run_until(study, 2, rising)
    storage = open_storage(stage.url)
    [waiting] = stage.trials()
    study_id = storage.get_study_id_from_name("s/f")
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, waiting.number)
    storage.set_trial_state_values(trial_id, TrialState.RUNNING)  # as kill -9 leaves it
    stage.run(study, rising)
    [trial] = stage.trials()
    assert trial.state == TrialState.COMPLETE
    assert trial.params == waiting.params
    assert len(trial.intermediate_values) == 3
    assert stage.tracker.ends["f 0"][-1] == "finished"
    assert list(stage.tracker.runs) == ["f", "f 0"]


def test_an_interrupted_trial_whose_epochs_are_all_paid_still_gets_its_end(stage: Stage) -> None:
    study = study_of(budget=Budget(trials=5, epochs=4, total_epochs=4))
    stage.run_until(study, 4, rising)
    assert stage.states() == ["WAITING"]
    stage.run(study, rising)
    assert stage.states() == ["COMPLETE"]
    assert stage.trained_epochs() == 4


def test_epochs_of_a_trial_that_fails_when_it_goes_on_stay_counted(stage: Stage) -> None:
    study = study_of(budget=Budget(trials=9, epochs=4, total_epochs=6))
    stage.run_until(study, 3, rising)
    stage.run(study, lambda job, epoch: None if job.trial == 0 and epoch == 2 else rising(job, epoch))
    assert stage.states() == ["FAIL", "PRUNED"]
    assert [len(trial.intermediate_values) for trial in stage.trials()] == [3, 3]


def dying(deaths: dict[int, list[str]]) -> Curve:
    """Workers die by these signals in the second epoch of these trials, one after the other."""

    def curve(job: Job, epoch: int) -> float | str:
        return deaths[job.trial].pop(0) if epoch == 2 and deaths.get(job.trial) else rising(job, epoch)

    return curve


@pytest.mark.parametrize("workers", [1, 2])
def test_a_trial_whose_worker_dies_twice_is_queued_again_and_the_table_is_as_if_it_had_not(
    workers: int, digits: Prepared, tmp_path: Path
) -> None:
    stages = {name: Stage(data=digits, folder=tmp_path / name) for name in ("through", "died")}
    for stage in stages.values():
        stage.folder.mkdir()
    study = study_of(budget=Budget(trials=3, epochs=3, total_epochs=8))
    stages["through"].run(study, ScriptedLauncher(rising, workers))
    curve = dying({0: ["SIGKILL", "SIGSEGV"], 2: ["SIGKILL"]})
    assert stages["died"].run(study, ScriptedLauncher(curve, workers)) == Outcome()
    died = stages["died"]
    assert [trial.user_attrs.get("deaths", 0) for trial in died.trials()] == [2, 0, 1]
    if workers == 1:
        expected, found = (trial_records(stage) for stage in stages.values())
        assert found == expected
    assert died.states() == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert died.trained_epochs() == 8
    assert [died.tracker.runs[f"f {number}"].epochs for number in range(3)] == [[1, 2, 3], [1, 2, 3], [1, 2]]
    heard = [line for line in died.watcher.heard if line.startswith("worker")]
    assert sorted(heard) == [
        "worker of 0 ended with SIGKILL",
        "worker of 0 ended with SIGSEGV",
        "worker of 2 ended with SIGKILL",
    ]


def test_a_trial_whose_worker_dies_three_times_fails_with_the_reason(stage: Stage) -> None:
    outcome = stage.run(study_of(), dying({1: ["SIGKILL", "SIGKILL", "SIGSEGV"]}))
    assert outcome == Outcome(failed=1)
    assert stage.states() == ["COMPLETE", "FAIL", "COMPLETE"]
    failed = stage.trials()[1]
    assert (failed.user_attrs["deaths"], failed.user_attrs["reason"]) == (3, "ended with SIGSEGV")
    assert stage.tracker.ends["f 1"][-1] == "failed"
    assert stage.tracker.runs["f 1"].files["failure.txt"] == b"ended with SIGSEGV; it has lost 3 workers"


def test_deaths_are_counted_over_several_runs(stage: Stage) -> None:
    study, curve = study_of(budget=Budget(trials=1, epochs=4)), dying({0: 3 * ["SIGKILL"]})
    for _ in range(2):
        stage.run_until(study, 2, curve)  # the second epoch that ends is the first one again
        assert stage.states() == ["WAITING"]
    assert stage.run(study, curve).failed == 1
    assert stage.trials()[0].user_attrs["deaths"] == 3


def test_a_worker_that_is_asked_to_end_may_be_as_often_as_somebody_likes(stage: Stage) -> None:
    assert stage.run(study_of(), dying({1: 9 * ["SIGTERM"]})) == Outcome()
    assert stage.states() == 3 * ["COMPLETE"]
    assert stage.trials()[1].user_attrs["deaths"] == 0


def test_a_family_whose_first_three_trials_fail_for_the_same_reason_stops(stage: Stage) -> None:
    families = [family_of("a"), family_of("b")]
    study = study_of(families=families, budget=Budget(trials=6, epochs=1))

    def failing(job: Job, epoch: int) -> float | None:
        return None if job.family == "a" else rising(job, epoch)

    assert stage.run(study, failing) == Outcome(failed=3, stopped=True)
    assert [len(family.trials) for family in stage.families()] == [3, 6]
    assert [line for line in stage.watcher.heard if "stopped" in line] == ["a stopped: ValueError: no"]
    stage.watcher.heard.clear()
    assert stage.run(study, rising) == Outcome(stopped=True)
    assert "a stopped: ValueError: no" in stage.watcher.heard
    start_over(open_storage(stage.url), study, failed=True)
    assert stage.run(study, rising) == Outcome()
    assert [len(family.trials) for family in stage.families()] == [6, 6]


def test_a_family_whose_first_trials_fail_for_different_reasons_goes_on(stage: Stage) -> None:
    def failing(job: Job, epoch: int) -> float | str | None:
        return [None, None, "SIGKILL"][job.trial] if job.trial < 3 else rising(job, epoch)

    assert stage.run(study_of(budget=Budget(trials=5, epochs=1)), failing) == Outcome(failed=3)
    assert stage.states() == ["FAIL", "FAIL", "FAIL", "COMPLETE", "COMPLETE"]


def test_failed_trials_are_tried_again_under_their_numbers_when_asked(stage: Stage) -> None:
    study = study_of(budget=Budget(trials=4, epochs=4))
    stage.run(study, lambda job, epoch: None if job.trial % 2 and epoch == 3 else rising(job, epoch))
    before = {trial.number: trial.params for trial in stage.trials()}
    assert stage.states() == ["COMPLETE", "FAIL", "COMPLETE", "FAIL"]
    start_over(open_storage(stage.url), study, failed=True)
    assert stage.states() == ["COMPLETE", "WAITING", "COMPLETE", "WAITING"]
    start_over(open_storage(stage.url), study, failed=True)  # twice is once
    launcher = ScriptedLauncher(rising)
    assert stage.run(study, launcher) == Outcome()
    assert [job.trial for job in launcher.submitted] == [1, 3]
    assert {trial.number: trial.params for trial in stage.trials()} == before
    for trial in stage.trials():
        assert trial.state == TrialState.COMPLETE
        assert "reason" not in trial.user_attrs
        assert list(trial.intermediate_values) == [1, 2, 3, 4]
        assert trial.user_attrs["seed"] == seed_of(0, "f", trial.number)
        assert stage.tracker.runs[f"f {trial.number}"].epochs == [1, 2, 3, 4]
    assert len(stage.tracker.runs) == 5


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Trial and epoch of what is really trained, with a checkpoint after each epoch."""
    monkeypatch.setattr("optrack.search.training.checkpoint.WRITING_SHARE", math.inf)
    epochs: list[tuple[int, int]] = []
    run_epoch = loop.run_epoch

    def counted(job: Job, epoch: int, *arguments: Any) -> EpochResult:
        epochs.append((job.trial, epoch))
        return run_epoch(job, epoch, *arguments)

    monkeypatch.setattr(loop, "run_epoch", counted)
    return epochs


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_interrupted_trial_resumes_at_its_checkpoint(stage: Stage, trained: list[tuple[int, int]]) -> None:
    study = study_of(budget=Budget(trials=2, epochs=4))
    stage.run_until(study, epochs=7)
    assert files(stage.weights) == ["f/1/checkpoint"]
    seconds = stage.tracker.runs["f 1"].history["seconds"]
    trained.clear()
    stage.run(study)
    # The epoch whose end was the last thing that happened is trained again: its checkpoint was still to be written.
    assert trained == [(1, 3), (1, 4)]
    assert not stage.weights.exists()
    assert stage.states() == ["COMPLETE", "COMPLETE"]
    assert [epoch["seconds"] for epoch in stage.epochs(1)][:2] == [value for _, value in seconds][:2]


def test_a_checkpoint_stays_while_other_families_are_searched(stage: Stage, trained: list[tuple[int, int]]) -> None:
    families = [family_of("a"), family_of("b")]
    study = study_of(families=families, budget=Budget(trials=1, epochs=4))
    stage.run_until(study, epochs=2)
    assert files(stage.weights) == ["a/0/checkpoint"]
    stage.run(replace(study, families=families[1:]))
    assert files(stage.weights) == ["a/0/checkpoint"]
    trained.clear()
    stage.run(study)
    assert trained == [(0, 2), (0, 3), (0, 4)]


def test_what_a_process_left_that_died_between_the_end_of_a_trial_and_its_files_is_removed(stage: Stage) -> None:
    stage.run(study_of(), rising)
    for name in ("weights.safetensors", "checkpoint", "checkpoint.unfinished"):
        left = stage.weights / "f" / "0" / name
        left.parent.mkdir(parents=True, exist_ok=True)
        left.touch()
    stage.run(study_of(), rising)
    assert not stage.weights.exists()


def test_a_search_goes_on_without_mlflow_and_says_what_waits_for_it(stage: Stage) -> None:
    stage.tracker.broken = True
    assert stage.run(study_of(), rising) == Outcome()
    assert stage.states() == 3 * ["COMPLETE"]
    assert stage.notices[0] == "MLflow does not answer; the search goes on"
    assert stage.notices[-1] == "waiting for MLflow: 3 trials; `optrack sync s` writes them"
    stage.tracker.broken = False
    stage.notices.clear()
    stage.run(study_of(), rising)
    assert [stage.tracker.runs[f"f {number}"].epochs for number in range(3)] == [[1, 2, 3, 4]] * 3
    assert stage.notices == ["MLflow lacked 3 trials: written"]


def test_a_study_that_is_stopped_before_it_runs_trains_nothing(stage: Stage) -> None:
    launcher = ScriptedLauncher(rising)
    coordinator = stage.open(study_of(), launcher)
    coordinator.stop()
    assert coordinator.run().interrupted
    assert launcher.submitted == []
    assert stage.states() == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_grid_ends_when_every_configuration_was_tried(stage: Stage, workers: int) -> None:
    family = family_of(space={"depth": Int(1, 3), "batch_norm": Categorical(True, False)})
    study = study_of(families=[family], budget=Budget(trials=99, epochs=1), sampler=Sampler("grid"))
    stage.run(study, ScriptedLauncher(rising, workers))
    assert len({tuple(sorted(trial.params.items())) for trial in stage.trials()}) == 6
    assert len(stage.trials()) == 6


SAME = family_of(space={"depth": Int(1, 1)})
"""A family with one configuration."""


def replicates(stage: Stage) -> list[int | None]:
    """What each trial repeats, as both stores tell."""
    found = [trial.user_attrs.get("replicate_of") for trial in stage.trials()]
    tags = [stage.tracker.runs[f"f {trial.number}"].tags.get("optrack.replicate_of") for trial in stage.trials()]
    assert tags == [None if original is None else str(original) for original in found]
    return found


def test_a_configuration_that_comes_again_is_a_replicate_of_the_first_one_under_another_seed(stage: Stage) -> None:
    heard: list[str] = []
    stage.watcher = Watcher(after_epoch=lambda work: heard.append(work.name))
    stage.run(study_of(families=[SAME], budget=Budget(trials=3, epochs=1)), rising)
    assert replicates(stage) == [None, 0, 0]
    assert heard == ["f 0", "f 1, a replicate of 0", "f 2, a replicate of 0"]
    assert len({trial.user_attrs["seed"] for trial in stage.trials()}) == 3


def test_values_of_all_kinds_are_the_same_when_they_come_again(stage: Stage) -> None:
    space: dict[str, Any] = {
        "lr": Float(1e-5, 0.1, log=True),
        "weight_decay": Float(0.0, 0.3, step=0.1),
        "depth": Int(1, 9),
        "width": Int(1, 64, log=True),
        "optimizer": Categorical("adam", "sgd"),
        "momentum": Float(0.1, 0.9, when={"optimizer": "sgd"}),
        "batch_norm": Categorical(True, False),
    }
    family = family_of(options={"batch_size": 256}, space=space)
    stage.run(study_of(families=[family], budget=Budget(trials=8, epochs=1)), rising)
    assert {trial.params["optimizer"] for trial in stage.trials()} == {"adam", "sgd"}
    opened = optuna.load_study(study_name="s/f", storage=stage.url)
    for trial in stage.trials():
        opened.enqueue_trial(trial.params)
    stage.run(study_of(families=[family], budget=Budget(trials=16, epochs=1)), rising)
    assert replicates(stage) == [None] * 8 + list(range(8))


@pytest.mark.parametrize("bad", [None, math.nan])
def test_a_trial_that_failed_or_was_pruned_is_no_original(bad: float | None, stage: Stage) -> None:
    study = study_of(families=[SAME], budget=Budget(trials=4, epochs=1))
    stage.run(study, lambda job, epoch: bad if job.trial in {0, 2} else rising(job, epoch))
    assert "COMPLETE" not in {stage.states()[0], stage.states()[2]}
    assert replicates(stage) == [None, None, 1, 1]


def test_trials_of_one_configuration_that_run_at_once_repeat_nothing_that_is_known(stage: Stage) -> None:
    study = study_of(families=[SAME], budget=Budget(trials=3, epochs=2))
    stage.run(study, ScriptedLauncher(rising, workers=2))
    assert replicates(stage) == [None, None, 0]


def test_a_replicate_that_goes_on_stays_one_of_the_same_trial(stage: Stage) -> None:
    study = study_of(families=[SAME], budget=Budget(trials=2, epochs=3))
    stage.run_until(study, 4, rising)
    assert stage.states() == ["COMPLETE", "WAITING"]
    assert replicates(stage) == [None, 0]
    seed = stage.trials()[1].user_attrs["seed"]
    stage.run(study, rising)
    assert stage.states() == ["COMPLETE", "COMPLETE"]
    assert replicates(stage) == [None, 0]
    assert stage.trials()[1].user_attrs["seed"] == seed


def test_the_same_configuration_in_another_family_is_no_replicate(stage: Stage) -> None:
    families = [replace(SAME, name=name) for name in ("f", "g")]
    stage.run(study_of(families=families, budget=Budget(trials=1, epochs=1)), rising)
    assert [family.trials[0].replicate_of for family in stage.families()] == [None, None]


def test_a_watcher_hears_of_everything_in_its_order(stage: Stage) -> None:
    stage.run(study_of(budget=Budget(trials=2, epochs=2)), rising)
    assert stage.watcher.heard == [
        "opened f",
        *("started 0", "epoch 1 of 0", "epoch 2 of 0", "finished 0"),
        *("started 1", "epoch 1 of 1", "epoch 2 of 1", "finished 1"),
    ]


def test_optunas_own_tools_can_open_what_is_stored(stage: Stage) -> None:
    stage.run(study_of(), rising)
    study = optuna.load_study(study_name="s/f", storage=stage.url)
    assert study.best_trial.number == 2
    assert study.metric_names == ["val_accuracy"]
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE


def by_length(job: Job, epoch: int) -> float:
    """Values that are the higher, the fewer epochs a trial is to train."""
    return 1 / job.epochs + job.trial / 100 + epoch / 1000


def test_trials_of_another_number_of_epochs_are_neither_counted_nor_the_best(stage: Stage) -> None:
    start = [{"lr": 0.002, "depth": 1}]
    study = study_of(families=[family_of(start=start)], budget=Budget(trials=2, epochs=2))
    stage.run(study, by_length)
    longer = replace(study, budget=Budget(trials=3, epochs=4))
    stage.run(longer, by_length)
    [family] = stage.families()
    assert [trial.number for trial in family.apart] == [0, 1]
    assert [trial.number for trial in family.trials] == [2, 3, 4]
    assert family.trials[0].params == start[0]  # it is to be compared as well
    assert family.trials[0].replicate_of is None
    assert family.best is not None
    assert family.best.number == 4
    assert (family.epochs, family.counts["finished"]) == (12, 3)
    assert stage.tracker.runs["f"].tags["optrack.best_trial"] == "4"
    assert stage.tracker.best_values("f")["val_accuracy"] == pytest.approx(0.294)
    apart = {name: run.tags.get("optrack.apart") for name, run in stage.tracker.runs.items()}
    assert apart == {
        "f": None,
        **dict.fromkeys(("f 0", "f 1"), "2 epochs, and the study has 4"),
        **dict.fromkeys(("f 2", "f 3", "f 4")),
    }
    assert stage.notices == []  # nothing was missing in MLflow


def test_what_was_the_best_is_so_again_where_the_epochs_change_back(stage: Stage) -> None:
    study = study_of(budget=Budget(trials=2, epochs=2))
    for epochs in (2, 4, 2):
        stage.run(replace(study, budget=Budget(trials=2, epochs=epochs)), by_length)
    [family] = stage.families()
    assert family.best is not None
    assert (family.best.number, family.best_apart) == (1, [3])
    assert {path.name for path in (stage.folder / "best" / "f").iterdir()} == {"1", "3"}
    run = stage.tracker.runs["f"]
    assert run.tags["optrack.best_trial"] == "1"
    assert run.files["best/weights.safetensors"] == b"f 1"
    assert stage.tracker.runs["f 1"].tags["optrack.apart"] == ""
    assert stage.tracker.runs["f 3"].tags["optrack.apart"] == "4 epochs, and the study has 2"


def test_while_no_trial_of_the_new_number_of_epochs_is_finished_there_is_no_best_one(stage: Stage) -> None:
    study = study_of(budget=Budget(trials=1, epochs=2))
    stage.run(study, by_length)
    stage.run(replace(study, budget=Budget(trials=1, epochs=4)), lambda job, epoch: None)  # noqa: ARG005
    [family] = stage.families()
    assert family.best is None
    assert stage.tracker.runs["f"].tags["optrack.best_trial"] == ""
    assert (stage.folder / "best" / "f" / "0").exists()


@pytest.mark.parametrize("name", ["asha", "hyperband", "median", "wilcoxon"])
def test_a_pruner_does_not_see_trials_of_another_number_of_epochs(stage: Stage, name: str) -> None:
    options = {"n_startup_trials": 1} if name == "median" else {}
    study = study_of(budget=Budget(trials=8, epochs=4), pruner=Pruner("none"))
    stage.run(study, lambda job, epoch: 0.9)  # noqa: ARG005 - all that follows is worse
    longer = replace(study, budget=Budget(trials=1, epochs=8), pruner=Pruner(name, options=options))
    stage.run(longer, lambda job, epoch: 0.1 + epoch / 100)  # noqa: ARG005
    [family] = stage.families()
    assert [trial.state for trial in family.trials] == ["finished"]


@pytest.mark.parametrize("name", ["grid", "tpe", "random"])
def test_a_sampler_begins_anew_with_another_number_of_epochs(stage: Stage, name: str) -> None:
    family = family_of(space={"lr": Categorical(0.1, 0.01), "depth": Categorical(1, 2)})
    study = study_of(families=[family], sampler=Sampler(name), budget=Budget(trials=4, epochs=1))
    stage.run(study, rising)
    stage.run(replace(study, budget=Budget(trials=9, epochs=2)), rising)
    [found] = stage.families()
    assert len(found.apart) == 4
    assert len(found.trials) == (4 if name == "grid" else 9)
    if name == "grid":
        assert len({tuple(trial.params.values()) for trial in found.trials}) == 4


def test_an_interrupted_trial_starts_over_with_another_number_of_epochs(stage: Stage) -> None:
    study = study_of(budget=Budget(trials=2, epochs=4))
    stage.run_until(study, 6, by_length)
    assert stage.states() == ["COMPLETE", "WAITING"]
    before = stage.families()[0].trials[1]
    assert before.reported == 2
    longer = replace(study, budget=Budget(trials=2, epochs=5))
    start_over(open_storage(stage.url), longer, failed=False)
    launcher = ScriptedLauncher(by_length)
    stage.run(longer, launcher)
    assert [(job.trial, job.epochs) for job in launcher.submitted] == [(1, 5), (2, 5)]
    again = stage.families()[0].trials[0]
    assert (again.number, again.params, again.seed) == (1, before.params, before.seed)
    assert [epoch.val_accuracy for epoch in again.epochs] == [by_length(launcher.submitted[0], n) for n in range(1, 6)]
    assert again.mlflow_run is not None
    assert [epoch["val_accuracy"] for epoch in stage.tracker.values(again.mlflow_run)] == [
        epoch.val_accuracy for epoch in again.epochs
    ]


def test_an_interrupted_trial_of_the_same_number_of_epochs_goes_on(stage: Stage) -> None:
    study = study_of(budget=Budget(trials=2, epochs=4))
    stage.run_until(study, 6, by_length)
    start_over(open_storage(stage.url), study, failed=False)
    assert stage.families()[0].trials[1].reported == 2


def test_failures_of_another_number_of_epochs_do_not_stop_a_family(stage: Stage) -> None:
    study = study_of(budget=Budget(trials=3, epochs=1))
    assert stage.run(study, lambda job, epoch: None) == Outcome(failed=3, stopped=True)  # noqa: ARG005
    assert stage.run(replace(study, budget=Budget(trials=3, epochs=2)), rising) == Outcome()


def test_failed_trials_are_tried_again_with_the_present_number_of_epochs(stage: Stage) -> None:
    study = study_of(budget=Budget(trials=2, epochs=1))
    stage.run(study, lambda job, epoch: None if job.trial else rising(job, epoch))
    longer = replace(study, budget=Budget(trials=1, epochs=2))
    start_over(open_storage(stage.url), longer, failed=True)
    stage.run(longer, rising)
    [trial] = stage.families()[0].trials
    assert (trial.number, trial.state, trial.reported) == (1, "finished", 2)
