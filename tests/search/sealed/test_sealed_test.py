import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from optrack.datasets import DataError, DataRequest, NoTestPartError
from optrack.datasets.prepared.sealed import TestData, open_test
from optrack.search import StudyError, TrackingError, load_champion
from optrack.search.champions.champion import Champion
from optrack.search.champions.registry import registered
from optrack.search.cli.training_progress import TrainingProgress
from optrack.search.launchers.machine import Machine
from optrack.search.results.collecting import collect, retrained_models
from optrack.search.results.values import StudyResults, TestResult
from optrack.search.retraining.retraining import retrain_study
from optrack.search.sealed import sealed_test as module
from optrack.search.sealed import unrecorded
from optrack.search.sealed.sealed_test import evaluate_models, latency_ms
from optrack.search.stores.mlflow_store import MlflowRuns
from optrack.search.stores.model_runs import ModelRun
from optrack.search.stores.optuna_store import read_storage, stored_families
from optrack.search.stores.places import Places

# MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


class Death(BaseException):
    """Nobody catches it."""


@dataclass(kw_only=True)
class Desk:
    """Where models are tested, with what was told of each test."""

    places: Places
    told: list[tuple[str, int, TestResult]] = field(default_factory=list[tuple[str, int, TestResult]])

    @property
    def runs(self) -> MlflowRuns:
        return MlflowRuns(self.places.tracking_uri, "tiny")

    def results(self) -> StudyResults:
        stored = stored_families(read_storage(self.places.storage), "tiny")
        return collect(stored, storage=self.places.storage, tracking_uri=self.places.tracking_uri)

    def test(self, *families: str, again: bool = False) -> None:
        def tell(model: ModelRun, result: TestResult) -> None:
            self.told.append((model.family, model.number, result))

        stored = stored_families(read_storage(self.places.storage), "tiny")
        models = retrained_models(self.runs, self.runs.families())
        evaluate_models(
            stored[0].study,
            {name: models[name] for name in families or [family.name for family in stored]},
            runs=self.runs,
            places=self.places,
            again=again,
            on_decoded=None,
            on_tested=tell,
        )

    def openings(self) -> list[int]:
        return [run.openings for run in self.runs.find("retrain")]

    def sealed(self) -> TestData:
        return open_test(
            DataRequest(
                "digits", image_size=None, data_dir=self.places.data_dir, cache_dir=self.places.cache_dir / "elsewhere"
            )
        )


@pytest.fixture
def desk(retrained: Places) -> Desk:
    return Desk(places=retrained)


def watched(monkeypatch: pytest.MonkeyPatch, name: str, before: Any) -> None:
    """`before` is called with the arguments of a function of the module, and then the function itself."""
    original = getattr(module, name)

    def called(*arguments: Any, **options: Any) -> Any:
        before(*arguments, **options)
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, called)


def never(*_: Any, **__: Any) -> None:
    raise AssertionError("the test part was opened")


def test_a_result_is_what_the_champion_says_of_the_test_part_and_nothing_else_is_seen(desk: Desk) -> None:
    desk.test()
    assert [(family, number) for family, number, _ in desk.told] == [
        *(("linear", 1), ("linear", 2)),
        *(("deep", 1), ("deep", 2)),
    ]
    data = desk.sealed()
    uri = desk.places.tracking_uri
    for family, number, result in desk.told:
        if number > 1:
            continue
        logits = load_champion("tiny", family, tracking_uri=uri).logits(data.images)
        probabilities = torch.from_numpy(logits).double().softmax(1).numpy()
        assert np.array_equal(result.labels, data.labels)
        assert np.array_equal(result.predictions, logits.argmax(axis=1))
        np.testing.assert_allclose(result.confidences, probabilities.max(axis=1), rtol=1e-6)
        right = probabilities[np.arange(len(data.labels)), data.labels]
        assert result.loss == pytest.approx(-np.log(right).mean())
        assert result.accuracy == (logits.argmax(axis=1) == data.labels).mean()
        assert (result.classes, result.digest, result.openings) == (data.classes, data.digest, 1)
        assert 0 <= result.calibration_error <= 1


def test_what_was_told_is_recorded_and_noted_with_the_champion(desk: Desk) -> None:
    desk.test()
    told = {(family, number): result for family, number, result in desk.told}
    figures = registered(desk.places.tracking_uri, "tiny")
    [winner] = [family for family, champion in figures.items() if champion.best]
    client = MlflowClient(desk.places.tracking_uri)
    for family in desk.results().families:
        for model in family.models:
            before = told[family.name, model.run.number]
            assert model.test is not None
            for name in ("labels", "predictions", "confidences"):
                assert np.array_equal(getattr(model.test, name), getattr(before, name))
            assert (model.test.loss, model.test.openings) == (before.loss, 1)
            metrics = client.get_run(model.run.run_id).data.metrics
            assert metrics["test/accuracy"] == before.accuracy
            assert metrics["test/loss"] == before.loss
            assert metrics["test/calibration_error"] == before.calibration_error
            assert metrics["test/latency_ms"] > 0
            files = {item.path for item in client.list_artifacts(model.run.run_id, "test")}
            assert files == {"test/predictions.npz", "test/result.json"}
            pictures = {item.path for item in client.list_artifacts(model.run.run_id, "pictures")}
            assert ("pictures/misclassified.png" in pictures) == (model is family.champion)
        champion = figures[family.name]
        assert champion.figures["test_accuracy"] == told[family.name, 1].accuracy
        assert champion.figures["test_loss"] == told[family.name, 1].loss
        names = ("accuracy", "loss", "calibration_error", "latency_ms")
        assert champion.figures.keys() == {f"test_{figure}" for figure in names}
    best = client.get_model_version_by_alias("tiny", "best")
    assert json.loads(str(best.tags["test_accuracy"])) == told[winner, 1].accuracy


def test_a_second_call_opens_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.test("linear")
    monkeypatch.setattr(module, "open_test", never)
    desk.test("linear")
    assert len(desk.told) == 2
    assert desk.openings() == [1, 1, 0, 0]


def test_only_models_that_were_not_tested_are_tested(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.test("linear")
    opened: list[str] = []

    def note(request: DataRequest, *_: Any) -> None:
        opened.append(request.name)

    watched(monkeypatch, "open_test", note)
    desk.test()
    assert [(family, number) for family, number, _ in desk.told[2:]] == [("deep", 1), ("deep", 2)]
    assert opened == ["digits"]
    assert desk.openings() == [1, 1, 1, 1]


def test_again_opens_once_more_and_is_counted_in_every_result(desk: Desk) -> None:
    desk.test("linear")
    desk.test("linear", again=True)
    assert desk.openings() == [2, 2, 0, 0]
    assert [result.openings for _, _, result in desk.told[2:]] == [2, 2]
    for before, after in zip(desk.told[:2], desk.told[2:], strict=True):
        assert np.array_equal(before[2].predictions, after[2].predictions)
    assert [test.openings for test in desk.results().families[0].tests] == [2, 2]


def test_an_opening_is_counted_before_the_images_are_looked_at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[list[int]] = []

    def count(*_: Any, **__: Any) -> None:
        counted.append(desk.openings())

    watched(monkeypatch, "_tested", count)
    desk.test("linear")
    assert counted == [[1, 0, 0, 0], [1, 1, 0, 0]]


@pytest.mark.parametrize("place", ["_tested", "latency_ms", "_record", "update_figures"])
def test_who_is_interrupted_has_seen_the_images_and_does_not_look_again_at_what_is_computed(
    place: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise Death

    with monkeypatch.context() as dying:
        watched(dying, place, die)
        with pytest.raises(Death):
            desk.test("linear")
    assert desk.openings() == [1, 0, 0, 0]
    desk.test("linear")
    expected = 1 if place in {"_record", "update_figures"} else 2
    assert desk.openings() == [expected, 1, 0, 0]
    first = desk.results().families[0]
    assert [test.openings for test in first.tests] == [expected, 1]
    assert [(number, result.openings) for _, number, result in desk.told] == [(1, expected), (2, 1)]
    assert np.array_equal(desk.told[0][2].predictions, first.tests[0].predictions)
    assert not list((desk.places.cache_dir.parent / ".optrack" / "tests").glob("*/*"))


def test_all_that_is_computed_is_recorded_without_the_test_part(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise Death

    with monkeypatch.context() as dying:
        watched(dying, "_record", die)
        for again in (False, True):
            with pytest.raises(Death):
                desk.test("linear", again=again)
    monkeypatch.setattr(module, "open_test", never)
    runs = [run for run in desk.runs.find("retrain") if run.openings]
    evaluate_models(
        stored_families(read_storage(desk.places.storage), "tiny")[0].study,
        {"linear": runs},
        runs=desk.runs,
        places=desk.places,
        on_decoded=None,
        on_tested=lambda model, result: desk.told.append((model.family, model.number, result)),
    )
    assert [(number, result.openings) for _, number, result in desk.told] == [(1, runs[0].openings)]
    assert (desk.runs.find("retrain")[0].tested, desk.openings()) == (True, [runs[0].openings, 0, 0, 0])


def test_who_dies_after_a_result_was_recorded_does_not_record_it_twice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: unrecorded.Unrecorded, run_id: str) -> None:
        if (self.folder / run_id).is_dir():
            raise Death

    with monkeypatch.context() as dying:
        dying.setattr(unrecorded.Unrecorded, "drop", die)
        with pytest.raises(Death):
            desk.test("linear")
    desk.test("linear")
    assert desk.openings() == [1, 1, 0, 0]
    run = desk.results().families[0].models[0].run.run_id
    assert len(MlflowClient(desk.places.tracking_uri).get_metric_history(run, "test/accuracy")) == 1


def test_a_result_is_dropped_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(path: Path, **_: Any) -> None:
        if path.is_dir():
            raise Death

    kept = unrecorded.Unrecorded(tmp_path)
    kept.keep("run", unrecorded.Tested(openings=1, figures={"test/accuracy": 1.0}, files={"test/result.json": b"{}"}))
    with monkeypatch.context() as dying:
        dying.setattr(shutil, "rmtree", die)
        with pytest.raises(Death):
            kept.drop("run")
    assert kept.of("run") is None
    kept.drop("run")
    assert not list(tmp_path.iterdir())


def test_without_a_test_part_nothing_is_counted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> TestData:
        raise NoTestPartError("there is none")

    monkeypatch.setattr(module, "open_test", missing)
    with pytest.raises(DataError, match="there is none"):
        desk.test()
    assert desk.openings() == [0, 0, 0, 0]
    assert desk.told == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": tuple("abcdefghij")}, "classes a, b, c, .* but linear was trained on 0, 1, 2"),
        ({"classes": tuple("012345678")}, "but linear was trained on 0, 1, 2"),
        ({"images": np.zeros((3, 1, 16, 16), np.uint8)}, r"shape \(1, 16, 16\), but linear takes \(1, 8, 8\)"),
        ({"images": np.zeros((3, 3, 8, 8), np.uint8)}, r"shape \(3, 8, 8\), but linear takes \(1, 8, 8\)"),
    ],
)
def test_a_test_part_that_does_not_fit_the_models_is_refused_before_it_is_counted(
    changes: Mapping[str, Any], message: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(desk.sealed(), **changes)

    def open_other(*_: Any, **__: Any) -> TestData:
        return other

    monkeypatch.setattr(module, "open_test", open_other)
    with pytest.raises(StudyError, match=message):
        desk.test()
    assert desk.openings() == [0, 0, 0, 0]


@pytest.mark.parametrize("gone", ["", "weights.safetensors", "configuration.json"])
def test_a_model_that_is_gone_is_named_before_the_test_part_is_opened(
    gone: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "open_test", never)
    run = desk.results().families[1].models[1].run.run_id
    path = Path(str(MlflowClient(desk.places.tracking_uri).get_run(run).info.artifact_uri)) / "model" / gone
    if gone:
        path.unlink()
    else:
        shutil.rmtree(path)
    reason = rf"broken \(there is no champion in model: {gone} is missing\)" if gone else "gone from MLflow at sqlite"
    with pytest.raises(TrackingError, match=rf"of run {run} is {reason}") as caught:
        desk.test()
    assert "delete the run, and `optrack retrain tiny` makes it again" in str(caught.value)
    assert desk.openings() == [0, 0, 0, 0]


def test_a_broken_model_is_named_before_the_test_part_is_opened(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_test", never)
    run = desk.results().families[0].models[0].run.run_id
    folder = Path(str(MlflowClient(desk.places.tracking_uri).get_run(run).info.artifact_uri)) / "model"
    (folder / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(TrackingError, match=rf"run {run} is broken \(model/weights\.safetensors cannot be read"):
        desk.test()
    assert desk.openings() == [0, 0, 0, 0]


def test_without_models_nothing_is_opened(searched: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_test", never)
    desk = Desk(places=searched)
    desk.test()
    assert desk.told == []


def test_models_of_a_family_whose_first_seed_is_missing_are_tested_without_a_word_to_the_registry(desk: Desk) -> None:
    client = MlflowClient(desk.places.tracking_uri)
    before = registered(desk.places.tracking_uri, "tiny")["linear"]
    client.delete_run(before.run_id)
    desk.test()
    assert [(family, number) for family, number, _ in desk.told] == [("linear", 2), ("deep", 1), ("deep", 2)]
    after = registered(desk.places.tracking_uri, "tiny")
    assert (after["linear"].run_id, after["linear"].figures) == (before.run_id, {})
    assert after["deep"].figures["test_accuracy"] == desk.told[1][2].accuracy


def test_models_that_are_registered_after_their_test_bring_their_figures_along(desk: Desk) -> None:
    client = MlflowClient(desk.places.tracking_uri)
    for name in ("tiny", "tiny.linear", "tiny.deep"):
        client.delete_registered_model(name)
    desk.test()
    assert desk.openings() == [1, 1, 1, 1]
    assert registered(desk.places.tracking_uri, "tiny") == {}
    retrain_study(
        [family.stored for family in desk.results().families],
        seeds=2,
        confirm=0,
        places=desk.places,
        machine=Machine(launcher="inline", threads=1),
        observer=TrainingProgress(),
    )
    accuracies = {family: result.accuracy for family, number, result in desk.told if number == 1}
    champions = registered(desk.places.tracking_uri, "tiny")
    assert {name: champion.figures["test_accuracy"] for name, champion in champions.items()} == accuracies


def test_latency_is_measured_with_one_thread_and_the_callers_are_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = load_champion("tiny", "linear", tracking_uri=desk.places.tracking_uri)
    threads: list[int] = []
    shapes: set[tuple[int, ...]] = set()
    logits = Champion.logits

    def counted(self: Champion, images: Any) -> Any:
        threads.append(torch.get_num_threads())
        shapes.add(images.shape)
        return logits(self, images)

    monkeypatch.setattr(Champion, "logits", counted)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert 0 < latency_ms(champion, desk.sealed()) < 10_000
        assert torch.get_num_threads() == 2
        monkeypatch.setattr(Champion, "logits", never)
        with pytest.raises(AssertionError):
            latency_ms(champion, desk.sealed())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(threads) == {1}
    assert shapes == {(1, 1, 8, 8)}


def test_latency_is_the_median_after_the_warm_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    champion = load_champion("tiny", "linear", tracking_uri=desk.places.tracking_uri)
    seconds = [9.0] * module.LATENCY_WARM_UP + [0.002] * (module.LATENCY_RUNS - 10) + [5.0] * 10
    ticks = iter([tick for length in seconds for tick in (0.0, length)])
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    assert latency_ms(champion, desk.sealed()) == pytest.approx(2.0)
