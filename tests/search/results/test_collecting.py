import shutil
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.utils.git_utils import get_git_commit

from optrack.search import TrackingError
from optrack.search.cli.training_progress import TrainingProgress
from optrack.search.launchers.machine import Machine
from optrack.search.results.collecting import collect, retrained_models
from optrack.search.results.values import StudyResults
from optrack.search.retraining.retraining import retrain_study
from optrack.search.sealed.sealed_test import evaluate_models
from optrack.search.stores.mlflow_store import MlflowRuns
from optrack.search.stores.optuna_store import read_storage, stored_families
from optrack.search.stores.places import Places
from optrack.search.stores.trials import State, StoredFamily

# MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


def families_of(places: Places) -> list[StoredFamily]:
    return stored_families(read_storage(places.storage), "tiny")


def collected(places: Places, stored: Sequence[StoredFamily] | None = None) -> StudyResults:
    return collect(stored or families_of(places), storage=places.storage, tracking_uri=places.tracking_uri)


def retrain(places: Places, stored: Sequence[StoredFamily], *, seeds: int = 1, confirm: int = 0) -> None:
    retrain_study(
        stored,
        seeds=seeds,
        confirm=confirm,
        places=places,
        machine=Machine(launcher="inline", threads=1),
        observer=TrainingProgress(),
    )


def unheard(*_: Any) -> None: ...


def opened(places: Places) -> StudyResults:
    runs = MlflowRuns(places.tracking_uri, "tiny")
    evaluate_models(
        collected(places).study,
        retrained_models(runs, runs.families()),
        runs=runs,
        places=places,
        on_decoded=None,
        on_tested=unheard,
    )
    return collected(places)


def ending(stored: StoredFamily, state: State) -> StoredFamily:
    return replace(stored, trials=tuple(replace(trial, state=state, value=None) for trial in stored.trials))


def with_replicate(stored: StoredFamily, number: int) -> StoredFamily:
    """A family in which one more trial repeats another one, and does better."""
    repeated = replace(stored.trials[number], number=len(stored.trials), value=0.999)
    return replace(stored, trials=(*stored.trials, repeated))


def test_after_a_search_the_best_configurations_are_known_and_nothing_else(searched: Places) -> None:
    results = collected(searched)
    stored = families_of(searched)
    assert results.study == stored[0].study
    assert [family.name for family in results.families] == ["linear", "deep"]
    for family, expected in zip(results.families, stored, strict=True):
        assert family.candidate is not None
        assert expected.best is not None
        assert (family.candidate.number, family.candidate.value) == (expected.best.number, expected.best.value)
        assert (family.models, family.champion, family.tests, family.raced) == ((), None, (), {})
        assert (family.version, family.latency_ms, family.latency_device, family.pictures) == (None, None, None, {})
    linear, deep = 64 * 10 + 10, 64 * 16 + 16 + 16 * 16 + 16 + 16 * 10 + 10
    assert [family.parameters for family in results.families] == [linear, deep]


def test_where_it_came_from_is_known(searched: Places) -> None:
    results = collected(searched)
    record = families_of(searched)[0].kept["optrack.data"]
    assert results.data == record
    assert results.data["layout"] == "embedded"
    assert results.versions["torch"] == version("torch")
    assert results.versions["optuna"] == version("optuna")
    assert results.versions["python"].startswith("3.")
    assert results.git_commit == get_git_commit(str(Path.cwd()))
    assert (results.storage, results.tracking_uri) == (searched.storage, searched.tracking_uri)


def test_before_a_trial_has_finished_there_is_no_candidate(searched: Places) -> None:
    results = collected(searched, [ending(family, "pruned") for family in families_of(searched)])
    assert [family.candidate for family in results.families] == [None, None]
    assert [family.parameters for family in results.families] == [None, None]


@pytest.mark.parametrize("gone", ["file", "experiment"])
def test_without_records_of_mlflow_there_is_what_the_storage_knows(gone: str, searched: Places, tmp_path: Path) -> None:
    client = MlflowClient(searched.tracking_uri)
    expected = collected(searched)
    elsewhere = searched
    if gone == "file":
        elsewhere = replace(searched, tracking_uri=f"sqlite:///{tmp_path}/other.db")
    else:
        experiment = client.get_experiment_by_name("tiny")
        assert experiment is not None
        client.delete_experiment(experiment.experiment_id)
    results = collected(elsewhere)
    for family, known in zip(results.families, expected.families, strict=True):
        assert family.candidate == known.candidate
        assert (family.models, family.parameters) == ((), None)
    assert (results.data, results.git_commit, results.versions) == (expected.data, None, {"python": "unknown"})
    assert not (tmp_path / "other.db").exists()


def test_retrained_models_are_read_with_their_epochs_the_champion_first(retrained: Places) -> None:
    for family in collected(retrained).families:
        assert [model.run.number for model in family.models] == [1, 2]
        assert family.champion is family.models[0]
        assert family.version == "1"
        assert family.candidate is not None
        for model in family.models:
            assert model.run.trial == family.candidate.number
            assert [epoch.epoch for epoch in model.epochs] == [1, 2, 3]
            assert model.epochs[0].metrics().keys() == {"train_loss", "train_accuracy", "lr", "seconds"}
            assert model.seconds == pytest.approx(sum(epoch.seconds for epoch in model.epochs))
            assert model.test is None
        assert len({model.run.seed for model in family.models}) == 2
        assert (family.latency_ms, family.latency_device) == (None, None)
        assert family.pictures.keys() == {"filters"}
        assert family.pictures["filters"].startswith(b"\x89PNG")


def test_after_a_test_its_results_are_there_and_a_file_that_goes_is_missed(retrained: Places) -> None:
    run_id = ""
    for family in opened(retrained).families:
        assert len(family.tests) == 2
        for test in family.tests:
            assert len(test.labels) == len(test.predictions) == len(test.confidences) > 300
            assert test.accuracy == np.mean(test.labels == test.predictions)
            assert (test.openings, test.classes) == (1, tuple("0123456789"))
        assert family.latency_ms is not None
        assert family.latency_ms > 0
        assert family.latency_device == "one CPU thread"
        assert set(family.pictures) == {"filters", "misclassified"}
        run_id = family.models[1].run.run_id
    folder = Path(str(MlflowClient(retrained.tracking_uri).get_run(run_id).info.artifact_uri))
    for file in ("test/result.json", "test/predictions.npz"):
        (folder / file).unlink()
        with pytest.raises(TrackingError, match=f"the artifact {file} of run {run_id} is gone"):
            collected(retrained)


def test_pictures_and_weights_that_are_gone_are_not_missed(retrained: Places) -> None:
    run_id = collected(retrained).families[0].models[0].run.run_id
    folder = Path(str(MlflowClient(retrained.tracking_uri).get_run(run_id).info.artifact_uri))
    shutil.rmtree(folder)
    family = collected(retrained).families[0]
    assert (len(family.models), family.pictures) == (2, {})


def test_a_model_that_failed_or_was_interrupted_is_none(retrained: Places) -> None:
    client = MlflowClient(retrained.tracking_uri)
    linear, deep = collected(retrained).families
    client.set_tag(linear.models[0].run.run_id, "optrack.state", "failed")
    client.set_tag(deep.models[1].run.run_id, "optrack.state", "interrupted")
    linear, deep = collected(retrained).families
    assert ([model.run.number for model in linear.models], [model.run.number for model in deep.models]) == ([2], [1])


def test_one_family_may_be_ahead_of_the_other(searched: Places) -> None:
    retrain(searched, families_of(searched)[1:])
    linear, deep = collected(searched).families
    assert ([model.run.number for model in deep.models], deep.version) == ([1], "1")
    assert (linear.models, linear.version) == ((), None)
    assert linear.candidate is not None


def test_a_race_is_known_and_its_winner_is_the_candidate(searched: Places) -> None:
    retrain(searched, families_of(searched)[:1], confirm=2)
    linear, deep = collected(searched).families
    assert linear.candidate is not None
    assert linear.raced.keys() == {0, 1}
    assert max(linear.raced, key=lambda trial: linear.raced[trial][0]) == linear.candidate.number
    assert (deep.raced, deep.models) == ({}, ())


def test_the_configuration_that_was_retrained_stays_the_candidate_when_the_search_goes_on(retrained: Places) -> None:
    stored = families_of(retrained)
    better = [with_replicate(stored[0], 0), with_replicate(stored[1], 1)]
    assert all(family.best and family.best.number == 2 for family in better)
    for family in collected(retrained, better).families:
        assert family.candidate is not None
        assert family.candidate.number == 1
        assert len(family.models) == 2


def test_a_replicate_that_is_picked_has_the_models_of_its_configuration(retrained: Places) -> None:
    stored = families_of(retrained)
    better = [with_replicate(stored[0], 1), stored[1]]
    retrain(retrained, better[:1], seeds=2)
    linear = collected(retrained, better).families[0]
    assert linear.candidate is not None
    assert linear.candidate.number == 2
    assert [model.run.number for model in linear.models] == [1, 2]


def test_parameters_are_those_of_the_configuration_that_was_picked(searched: Places) -> None:
    linear, deep = families_of(searched)
    first, second = deep.trials
    changed = replace(deep, trials=(first, replace(second, params={**second.params, "width": 8})))
    assert collected(searched, [linear, changed]).families[1].parameters == 64 * 8 + 8 + 8 * 8 + 8 + 8 * 10 + 10


def test_of_two_models_of_a_seed_the_latest_counts(retrained: Places) -> None:
    client = MlflowClient(retrained.tracking_uri)
    before = collected(retrained).families[0].models
    tags = client.get_run(before[0].run.run_id).data.tags
    made = client.create_run(MlflowRuns(retrained.tracking_uri, "tiny").experiment_id, tags=tags).info.run_id
    models = collected(retrained).families[0].models
    assert [model.run.run_id for model in models] == [made, before[1].run.run_id]
