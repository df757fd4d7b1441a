import json
import math
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]

from optrack.search import NothingStoredError, load_champion
from optrack.search.champions.registry import registered
from optrack.search.coordinator.observer import Observer
from optrack.search.coordinator.strategies import seed_of
from optrack.search.launchers import InlineLauncher, Launcher
from optrack.search.launchers.machine import Machine
from optrack.search.launchers.pool import Outcome, Work
from optrack.search.retraining import retraining as module
from optrack.search.retraining.model_training import ModelTrainer, RunningTraining
from optrack.search.retraining.retraining import retrain_study
from optrack.search.stores.model_runs import Stage
from optrack.search.stores.optuna_store import read_storage, stored_families
from optrack.search.stores.places import Places, prepared_data
from optrack.search.stores.trials import StoredFamily, Trial
from optrack.search.study import EpochResult
from optrack.search.training import Job, TrainingConfig, split_settings, train

# MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

FINISHED = Outcome()


class Death(BaseException):
    """Nobody catches it."""


@dataclass(kw_only=True)
class Watcher(Observer):
    """Remembers what was planned and picked, and calls back after each epoch."""

    after_epoch: Callable[[Work], None] = lambda _: None
    planned: dict[Stage, int] = field(default_factory=dict[Stage, int])
    there: dict[Stage, int] = field(default_factory=dict[Stage, int])
    picked: dict[str, int] = field(default_factory=dict[str, int])
    jobs: list[Job] = field(default_factory=list[Job])
    numbers: dict[int, int] = field(default_factory=dict[int, int])

    def trainings_planned(self, stage: Stage, jobs: Sequence[Job], done: int) -> None:
        self.planned[stage], self.there[stage] = len(jobs), done

    def candidate_picked(self, family: str, trial: Trial, raced: Mapping[int, Sequence[float]]) -> None:  # noqa: ARG002
        self.picked[family] = trial.number

    def started(self, work: Work) -> None:
        assert isinstance(work, RunningTraining)
        self.jobs.append(work.job)
        self.numbers[work.job.seed] = work.plan.number

    def epoch_ended(self, work: Work) -> None:
        self.after_epoch(work)


def families_of(places: Places, *names: str) -> list[StoredFamily]:
    stored = stored_families(read_storage(places.storage), "tiny")
    return [family for family in stored if family.name in names or not names]


def retrain(
    places: Places,
    families: Sequence[StoredFamily] | None = None,
    *,
    seeds: int = 1,
    confirm: int = 0,
    watcher: Watcher | None = None,
    stop_after: int | None = None,
    threads: int = 1,
) -> Outcome:
    """Retrain all families, and ask to stop when so many epochs have ended."""
    watcher = watcher or Watcher()

    def stop_at_last(stop: Callable[[], None]) -> None:
        left = iter(range((stop_after or 10**6) - 1, -1, -1))
        watcher.after_epoch = lambda _: stop() if next(left, 0) == 0 else None

    return retrain_study(
        families_of(places) if families is None else families,
        seeds=seeds,
        confirm=confirm,
        places=places,
        machine=Machine(launcher="inline", device="cpu", threads=threads),
        observer=watcher,
        on_start=stop_at_last if stop_after else lambda _: None,
    )


def runs_of(places: Places, stage: str = "retrain") -> list[Run]:
    client = MlflowClient(places.tracking_uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return client.search_runs(
        [experiment.experiment_id], f"tags.`optrack.stage` = '{stage}'", order_by=["attributes.start_time ASC"]
    )


def states_of(places: Places, stage: str = "retrain") -> list[str]:
    return [run.data.tags["optrack.state"] for run in runs_of(places, stage)]


def statuses_of(places: Places) -> set[str]:
    return {run.info.status for stage in ("family", "search", "confirm", "retrain") for run in runs_of(places, stage)}


def epochs_of(places: Places, run: Run) -> list[int]:
    return [entry.step for entry in MlflowClient(places.tracking_uri).get_metric_history(run.info.run_id, "train_loss")]


def weights_of(run: Run) -> dict[str, Any]:
    return load_file(Path(str(run.info.artifact_uri)) / "model" / "weights.safetensors")


def same_weights(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def by_model(places: Places) -> dict[tuple[str, str], Run]:
    return {(run.data.tags["optrack.family"], run.data.tags["optrack.number"]): run for run in runs_of(places)}


def changed(stored: StoredFamily, values: Mapping[int, float], **attributes: Any) -> StoredFamily:
    """A family whose trials had gone otherwise."""
    trials = (replace(trial, value=values.get(trial.number, trial.value), **attributes) for trial in stored.trials)
    return replace(stored, trials=tuple(trials))


def with_replicate(stored: StoredFamily, number: int) -> StoredFamily:
    """A family in which one more trial repeats another one, and does better."""
    repeated = replace(stored.trials[number], number=len(stored.trials), value=0.999)
    return replace(stored, trials=(*stored.trials, repeated))


@contextmanager
def training(monkeypatch: pytest.MonkeyPatch, scripted: Callable[[Job], Iterator[EpochResult]]) -> Generator[None]:
    with monkeypatch.context() as patched:
        patched.setattr("optrack.search.launchers.inline.train", scripted)
        yield


def left_behind(trainer: ModelTrainer) -> None:
    """In the place of `close`: nothing is put away, as in a process that is killed."""
    with suppress(Death):
        trainer._writing.finish()  # pyright: ignore[reportPrivateUsage]


def test_models_are_trained_on_all_images_for_the_best_epochs_number_of_epochs_and_under_fresh_seeds(
    searched: Places,
) -> None:
    stored = [changed(family, {}, best_epoch=2) for family in families_of(searched)]
    watcher = Watcher()
    assert retrain(searched, stored, seeds=2, watcher=watcher) == FINISHED
    assert [(job.family, job.trial, job.epochs) for job in watcher.jobs] == [
        *2 * [("linear", 1, 2)],
        *2 * [("deep", 1, 2)],
    ]
    searched_under = {trial.user_attrs["seed"] for family in stored for trial in family.optuna_study.trials}
    seeds = {job.seed for job in watcher.jobs}
    assert len(seeds - searched_under) == 4
    data = prepared_data(families_of(searched)[0].study, searched, None)
    for run, job in zip(runs_of(searched), watcher.jobs, strict=True):
        candidate = stored[0 if job.family == "linear" else 1].trials[1]
        options = {"batch_size": 256} if job.family == "linear" else {"batch_size": 256, "width": 16}
        config, model = split_settings({**options, **candidate.params})
        number = watcher.numbers[job.seed]
        by_hand = Job(
            family=job.family,
            trial=1,
            architecture=job.architecture,
            model=model,
            training=config,
            data=data,
            epochs=2,
            validates=False,
            seed=seed_of(0, f"{job.family}/retrain", number),
            weights=searched.cache_dir / f"{job.family}{number}.safetensors",
        )
        results = list(train(by_hand))
        assert by_hand.weights is not None
        assert same_weights(weights_of(run), load_file(by_hand.weights))
        assert run.data.metrics["train_loss"] == results[-1].train_loss
        assert not {name for name in run.data.metrics if "val_" in name}


def test_the_record_of_a_model_says_all_that_is_needed_to_use_it(retrained: Places) -> None:
    run = by_model(retrained)["deep", "2"]
    stored = families_of(retrained, "deep")[0]
    record = json.loads((Path(str(run.info.artifact_uri)) / "model/configuration.json").read_text())
    trial = stored.trials[1]
    assert (record["study"], record["family"], record["trial"]) == ("tiny", "deep", 1)
    assert record["trained_on"] == "train and validation"
    assert (record["value"], record["epoch"]) == (trial.value, trial.best_epoch)
    assert record["model"] == {"width": 16}
    assert TrainingConfig(**record["training"]) == TrainingConfig(batch_size=256, lr=trial.params["lr"])
    assert record["seed"] == int(run.data.tags["optrack.seed"])
    assert run.data.params == {"architecture": "mlp", "batch_size": "256", "width": "16", "lr": "0.01"}
    parents = {run.info.run_id: run.data.tags["optrack.family"] for run in runs_of(retrained, "family")}
    assert parents[run.data.tags["mlflow.parentRunId"]] == "deep"


def test_the_first_seeds_model_is_the_champion_and_the_best_family_by_validation_the_winner(retrained: Places) -> None:
    champions = registered(retrained.tracking_uri, "tiny")
    assert champions.keys() == {"linear", "deep"}
    values = {family.name: family.best.value for family in families_of(retrained) if family.best is not None}
    best = max(values, key=lambda name: values[name] or 0.0)
    for name, champion in champions.items():
        run = by_model(retrained)[name, "1"]
        assert (champion.run_id, champion.version) == (run.info.run_id, "1")
        assert champion.best == (name == best)
    assert load_champion("tiny", tracking_uri=retrained.tracking_uri).family == best
    pictures = {
        number: [item.path for item in MlflowClient(retrained.tracking_uri).list_artifacts(run.info.run_id, "pictures")]
        for (family, number), run in by_model(retrained).items()
        if family == "deep"
    }
    assert pictures == {"1": ["pictures/filters.png"], "2": []}


def test_the_same_again_trains_nothing_and_more_seeds_train_the_new_ones_alone(retrained: Places) -> None:
    before = {run.info.run_id for run in runs_of(retrained)}
    watcher = Watcher()
    assert retrain(retrained, seeds=2, watcher=watcher) == FINISHED
    assert (watcher.jobs, watcher.there) == ([], {"retrain": 4})
    assert {run.info.run_id for run in runs_of(retrained)} == before
    assert [champion.version for champion in registered(retrained.tracking_uri, "tiny").values()] == ["1", "1"]
    watcher = Watcher()
    retrain(retrained, families_of(retrained, "linear"), seeds=3, watcher=watcher)
    assert [watcher.numbers[job.seed] for job in watcher.jobs] == [3]
    assert statuses_of(retrained) == {"FINISHED"}


@pytest.mark.parametrize("epochs", [1, 6])
def test_an_interrupted_retraining_goes_on_in_its_run_to_the_same_weights(
    epochs: int, searched: Places, retrained: Places
) -> None:
    assert retrain(searched, seeds=2, stop_after=epochs).interrupted
    assert set(states_of(searched)) <= {"interrupted", "finished"}
    assert statuses_of(searched) <= {"FINISHED", "KILLED"}
    begun = [run.info.run_id for run in runs_of(searched)]
    watcher = Watcher()
    assert retrain(searched, seeds=2, watcher=watcher) == FINISHED
    assert watcher.planned["retrain"] == 4 - (epochs - 1) // 3
    assert {run.info.run_id for run in runs_of(searched)} >= set(begun)
    assert statuses_of(searched) == {"FINISHED"}
    found, expected = by_model(searched), by_model(retrained)
    assert found.keys() == expected.keys()
    for name, run in found.items():
        assert epochs_of(searched, run) == [1, 2, 3]
        assert same_weights(weights_of(run), weights_of(expected[name]))
    assert len(runs_of(searched)) == 4


@pytest.mark.parametrize("place", ["in an epoch", "before its state", "while it is kept", "before it is registered"])
def test_a_retraining_whose_process_dies_goes_on_in_its_run(
    place: str, searched: Places, retrained: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise Death

    watcher = Watcher()
    with monkeypatch.context() as dying:
        dying.setattr(ModelTrainer, "close", left_behind)
        if place == "in an epoch":
            watcher.after_epoch = lambda work: die() if len(work.epochs) > 1 else None
        elif place == "before its state":
            dying.setattr("optrack.search.mirror.mlflow_tracker.MlflowTracker.close_run", die)
        elif place == "while it is kept":
            dying.setattr(module, "champion_pictures", die)
        else:
            dying.setattr(module, "register", die)
        with pytest.raises(Death):
            retrain(searched, families_of(searched, "deep"), watcher=watcher)
    [run] = runs_of(searched)
    assert (run.info.status == "RUNNING") == (place != "before it is registered")
    again = Watcher()
    assert retrain(searched, families_of(searched, "deep"), watcher=again) == FINISHED
    assert len(again.jobs) == (place != "before it is registered")
    [same] = runs_of(searched)
    assert same.info.run_id == run.info.run_id
    assert (same.info.status, same.data.tags["optrack.state"]) == ("FINISHED", "finished")
    assert epochs_of(searched, same) == [1, 2, 3]
    assert same_weights(weights_of(same), weights_of(by_model(retrained)["deep", "1"]))
    assert registered(searched.tracking_uri, "tiny")["deep"].run_id == run.info.run_id


def diverging(job: Job) -> Iterator[EpochResult]:
    for result in train(job):
        if job.family == "linear" and result.epoch > 1:
            yield replace(result, train_loss=math.nan)
            return
        yield result


def failing(job: Job) -> Iterator[EpochResult]:
    if job.family == "linear":
        raise RuntimeError("no memory")
    yield from train(job)


@pytest.mark.parametrize(
    ("scripted", "reason"),
    [(failing, "RuntimeError: no memory"), (diverging, "diverged in epoch 2: the loss is not finite")],
)
def test_a_training_that_fails_is_recorded_and_tried_again_and_the_other_family_goes_on(
    scripted: Any, reason: str, searched: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    with training(monkeypatch, scripted):
        assert retrain(searched) == Outcome(failed=1)
    failed, finished = runs_of(searched)
    assert (failed.data.tags["optrack.family"], failed.data.tags["optrack.state"]) == ("linear", "failed")
    assert (failed.info.status, failed.data.tags["optrack.reason"]) == ("FAILED", reason)
    assert reason in (Path(str(failed.info.artifact_uri)) / "failure.txt").read_text()
    assert finished.data.tags["optrack.state"] == "finished"
    champions = registered(searched.tracking_uri, "tiny")
    assert {name: champion.best for name, champion in champions.items()} == {"deep": True}

    watcher = Watcher()
    assert retrain(searched, watcher=watcher) == FINISHED
    assert [job.family for job in watcher.jobs] == ["linear"]
    assert states_of(searched) == ["failed", "finished", "finished"]
    champions = registered(searched.tracking_uri, "tiny")
    assert {name: champion.best for name, champion in champions.items()} == {"linear": True, "deep": False}


def test_nothing_is_registered_when_nothing_was_trained(searched: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    with training(monkeypatch, failing):
        assert retrain(searched, families_of(searched, "linear")).failed == 1
    assert registered(searched.tracking_uri, "tiny") == {}
    assert MlflowClient(searched.tracking_uri).search_registered_models() == []
    retrain(searched, stop_after=1)
    assert registered(searched.tracking_uri, "tiny") == {}


def test_another_best_configuration_is_retrained_and_becomes_the_champion(retrained: Places) -> None:
    [stored] = families_of(retrained, "linear")
    watcher = Watcher()
    retrain(retrained, [changed(stored, {0: 0.999})], watcher=watcher)
    assert watcher.picked == {"linear": 0}
    [job] = watcher.jobs
    assert job.training.lr == 1e-3
    champion = registered(retrained.tracking_uri, "tiny")["linear"]
    assert champion.version == "2"
    assert load_champion("tiny", "linear", tracking_uri=retrained.tracking_uri).recipe.as_json()["trial"] == 0
    # And back again, without training.
    watcher = Watcher()
    retrain(retrained, [stored], watcher=watcher)
    assert watcher.jobs == []
    assert registered(retrained.tracking_uri, "tiny")["linear"].version == "1"


def test_a_replicate_that_does_better_needs_no_other_training(retrained: Places) -> None:
    [stored] = families_of(retrained, "linear")
    watcher = Watcher()
    retrain(retrained, [with_replicate(stored, 1)], watcher=watcher)
    assert (watcher.picked, watcher.jobs) == ({"linear": 2}, [])
    assert by_model(retrained)["linear", "1"].data.tags["optrack.trial"] == "2"


def test_a_familys_race_decides_on_the_winner_and_not_what_its_search_found(
    retrained: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    champions = registered(retrained.tracking_uri, "tiny")
    [better] = [name for name, champion in champions.items() if champion.best]
    trial = int(by_model(retrained)[better, "1"].data.tags["optrack.trial"])

    def raced(*_: Any) -> dict[str, dict[int, list[float]]]:
        return {better: {trial: [0.0, 0.1]}}

    monkeypatch.setattr("optrack.search.retraining.retraining.race_values", raced)
    retrain(retrained, families_of(retrained), seeds=2)
    assert not registered(retrained.tracking_uri, "tiny")[better].best


def test_one_family_alone_does_not_become_the_winner_of_the_study(retrained: Places) -> None:
    champions = registered(retrained.tracking_uri, "tiny")
    [worse] = [name for name, champion in champions.items() if not champion.best]
    retrain(retrained, families_of(retrained, worse), seeds=2)
    assert not registered(retrained.tracking_uri, "tiny")[worse].best


def test_after_a_test_the_winner_is_the_verdicts_alone(retrained: Places) -> None:
    champions = registered(retrained.tracking_uri, "tiny")
    [worse] = [name for name, champion in champions.items() if not champion.best]
    client = MlflowClient(retrained.tracking_uri)
    for champion in champions.values():
        client.set_tag(champion.run_id, "optrack.test_openings", "1")
    model = client.get_registered_model("tiny")
    [stored] = families_of(retrained, worse)
    retrain(retrained, [changed(stored, {0: 0.9999})])
    assert client.get_registered_model("tiny").aliases == model.aliases


def test_a_race_gives_all_configurations_the_same_fresh_seeds_as_in_the_search(searched: Places) -> None:
    watcher = Watcher()
    stored = families_of(searched, "linear")
    assert retrain(searched, stored, seeds=2, confirm=2, watcher=watcher) == FINISHED
    races = [job for job in watcher.jobs if job.validates]
    assert Counter((job.trial, job.epochs) for job in races) == {(1, 3): 2, (0, 3): 2}
    seeds = {job.trial: [other.seed for other in races if other.trial == job.trial] for job in races}
    assert seeds[0] == seeds[1] == [seed_of(0, "linear/confirm", number) for number in (1, 2)]
    known = {trial.user_attrs["seed"] for trial in stored[0].optuna_study.trials}
    known |= {job.seed for job in watcher.jobs if not job.validates}
    assert not known & set(seeds[0])
    assert watcher.picked == {"linear": 1}
    for run in runs_of(searched, "confirm"):
        history = MlflowClient(searched.tracking_uri).get_metric_history(run.info.run_id, "val_accuracy")
        assert run.data.metrics["best/val_accuracy"] == max(entry.value for entry in history)
    again = Watcher()
    retrain(searched, stored, seeds=2, confirm=2, watcher=again)
    assert (again.jobs, again.there) == ([], {"confirm": 4, "retrain": 2})


def test_the_winner_of_a_race_is_retrained_and_a_lucky_seed_is_not(
    searched: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def turned(job: Job) -> Iterator[EpochResult]:
        for result in train(job):
            yield replace(result, val_accuracy=0.9 if job.trial == 0 else 0.1) if job.validates else result

    watcher = Watcher()
    stored = families_of(searched, "linear")
    with training(monkeypatch, turned):
        retrain(searched, stored, confirm=2, watcher=watcher)
    assert watcher.picked == {"linear": 0}
    assert [job.trial for job in watcher.jobs if not job.validates] == [0]
    # What was confirmed stays so for calls without a race.
    watcher = Watcher()
    retrain(searched, stored, watcher=watcher)
    assert (watcher.picked, watcher.jobs) == ({"linear": 0}, [])
    # A better configuration than those that were raced has not lost against them.
    [family] = stored
    newer = replace(family.trials[0], number=2, value=0.999, params={"lr": 0.05})
    watcher = Watcher()
    retrain(searched, [replace(family, trials=(*family.trials, newer))], watcher=watcher)
    assert watcher.picked == {"linear": 2}


def test_nothing_is_picked_while_a_race_is_not_over(searched: Places) -> None:
    watcher = Watcher()
    outcome = retrain(searched, families_of(searched, "linear"), seeds=2, confirm=2, watcher=watcher, stop_after=7)
    assert outcome.interrupted
    assert watcher.picked == {}
    assert states_of(searched, "confirm") == ["finished", "finished", "interrupted"]
    assert runs_of(searched) == []
    retrain(searched, families_of(searched, "linear"), seeds=2, confirm=2, watcher=watcher)
    assert states_of(searched, "confirm") == ["finished"] * 4
    for run in runs_of(searched, "confirm"):
        assert epochs_of(searched, run) == [1, 2, 3]


def test_no_weights_are_left_and_the_study_is_free_again(retrained: Places) -> None:
    folder = retrained.cache_dir.parent / ".optrack"
    assert list((folder / ".optrack" / "weights").rglob("*.safetensors")) == []
    retrain(retrained, seeds=2)  # it raises where the study is owned


def test_a_family_without_a_finished_trial_is_refused_and_nothing_is_written(searched: Places) -> None:
    linear, deep = families_of(searched)
    trials = [replace(trial, state="pruned", value=None) for trial in deep.trials]
    with pytest.raises(NothingStoredError, match="family 'deep' has no finished trial yet: `optrack run tiny`"):
        retrain(searched, [linear, replace(deep, trials=tuple(trials))])
    assert runs_of(searched) == []


def test_records_of_mlflow_without_the_study_are_refused_and_nothing_is_written(
    searched: Places, tmp_path: Path
) -> None:
    elsewhere = replace(searched, tracking_uri=f"sqlite:///{tmp_path}/other.db")
    with pytest.raises(NothingStoredError, match="has no experiment 'tiny': give the --tracking-uri"):
        retrain(elsewhere)
    assert not (tmp_path / "other.db").exists()


def test_records_of_mlflow_without_the_family_are_refused(searched: Places) -> None:
    [run] = [run for run in runs_of(searched, "family") if run.data.tags["optrack.family"] == "deep"]
    MlflowClient(searched.tracking_uri).delete_run(run.info.run_id)
    with pytest.raises(NothingStoredError, match="no run of family 'deep'"):
        retrain(searched)
    assert runs_of(searched) == []
    assert retrain(searched, families_of(searched, "linear")) == FINISHED


def test_a_model_whose_run_was_deleted_is_trained_again(retrained: Places) -> None:
    run = by_model(retrained)["deep", "1"]
    MlflowClient(retrained.tracking_uri).delete_run(run.info.run_id)
    watcher = Watcher()
    retrain(retrained, families_of(retrained, "deep"), seeds=2, watcher=watcher)
    assert [watcher.numbers[job.seed] for job in watcher.jobs] == [1]
    champion = registered(retrained.tracking_uri, "tiny")["deep"]
    assert champion.run_id == by_model(retrained)["deep", "1"].info.run_id != run.info.run_id


def test_the_next_search_leaves_the_models_of_a_dead_retraining_alone(
    searched: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    from optrack.search.cli.progress import LineProgress
    from optrack.search.coordinator.running import run_study

    def die(_: Work) -> None:
        raise Death

    with monkeypatch.context() as dying:
        dying.setattr(ModelTrainer, "close", left_behind)
        with pytest.raises(Death):
            retrain(searched, families_of(searched, "linear"), watcher=Watcher(after_epoch=die))
    [left] = runs_of(searched)
    study = families_of(searched)[0].study
    more = replace(study, budget=replace(study.budget, trials=3))
    run_study(more, places=searched, machine=Machine(launcher="inline", threads=1), observer=LineProgress())
    assert len(runs_of(searched, "search")) == 6
    [same] = runs_of(searched)
    assert (same.info.run_id, same.data.tags["optrack.stage"]) == (left.info.run_id, "retrain")


def test_every_job_goes_through_the_launcher(searched: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = InlineLauncher(threads=1)

    @contextmanager
    def given(machine: Machine, devices: tuple[str, ...]) -> Generator[Launcher]:
        assert (machine.threads, devices) == (3, ("cpu",))
        yield launcher

    monkeypatch.setattr(module, "launcher_of", given)
    submitted: list[Job] = []

    def submit(job: Job) -> None:
        submitted.append(job)
        InlineLauncher.submit(launcher, job)

    monkeypatch.setattr(launcher, "submit", submit)
    watcher = Watcher()
    retrain(searched, families_of(searched, "linear"), confirm=1, watcher=watcher, threads=3)
    assert submitted == watcher.jobs
    assert [job.validates for job in submitted] == [True, False]


def test_unfinished_trainings_lie_where_no_study_has_its_own_and_those_of_earlier_versions_move_there(
    tmp_path: Path,
) -> None:
    earlier, digest = tmp_path / "weights" / "tiny.retrain" / "linear", "0a" * 32
    for name in (digest, "7"):  # the second one is a trial of a study named `tiny.retrain`
        (earlier / name).mkdir(parents=True)
        (earlier / name / "checkpoint").write_text(name)
    for _ in range(2):
        folder = module.unfinished_trainings(tmp_path, "tiny")
        assert folder == tmp_path / "retraining" / "tiny"
        assert [path.read_text() for path in folder.rglob("checkpoint")] == [digest]
        assert [path.read_text() for path in earlier.rglob("checkpoint")] == ["7"]
