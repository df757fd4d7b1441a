"""Made-up studies at every stage, without training."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from optrack.search import Budget, Categorical, Data, Family, Float, Int, Reference, Study
from optrack.search.results.values import FamilyResult, RetrainedModel, StudyResults, TestResult
from optrack.search.stores.model_runs import ModelRun
from optrack.search.stores.ranking import picked
from optrack.search.stores.records import STUDY, STUDY_RECORD
from optrack.search.stores.trials import StoredFamily, epoch_of

SPACE: dict[str, Float | Int | Categorical] = {
    "lr": Float(1e-4, 1e-2, log=True),
    "depth": Int(1, 5),
    "optimizer": Categorical("adam", "sgd"),
    "momentum": Float(0.8, 1.0, when={"optimizer": "sgd"}),
}
# Values in the search, and right answers of the champion on 100 test images.
FAMILIES = {"alpha": (0.90, 91), "beta": (0.95, 96)}


def _distribution(distribution: Float | Int | Categorical) -> BaseDistribution:
    if isinstance(distribution, Categorical):
        return CategoricalDistribution(distribution.choices)
    if isinstance(distribution, Int):
        return IntDistribution(distribution.low, distribution.high, log=distribution.log)
    return FloatDistribution(distribution.low, distribution.high, log=distribution.log)


def _trial(params: Mapping[str, Any], value: float | None, attributes: Mapping[str, Any]) -> FrozenTrial:
    epochs = [
        {"epoch": epoch, "train_loss": 1 / epoch, "train_accuracy": 0.8, "val_loss": 1 / epoch, "lr": 0.1}
        | {"val_accuracy": (value or 0.5) * epoch / 2, "seconds": 30.0}
        for epoch in (1, 2)
    ]
    trial = create_trial(
        state=TrialState.PRUNED if value is None else TrialState.COMPLETE,
        value=value,
        params=dict(params),
        distributions={name: _distribution(SPACE[name]) for name in params},
        intermediate_values={1: 0.4, 2: value or 0.5},
        user_attrs={"best_epoch": 2, "epochs": epochs, **attributes},
    )
    trial.datetime_start = trial.datetime_complete = datetime(2026, 5, 1, 12)  # noqa: DTZ001 - as Optuna's are
    return trial


@pytest.fixture(scope="session")
def study_of() -> Any:
    """A study with some families: `study_of("alpha", "beta")`."""

    def made(*names: str, study_name: str = "signs", **changes: Any) -> Study:
        reference = Reference(validation=0.88, test=0.89, source="report 7")
        families = [
            Family(name, architecture="mlp", space=SPACE, options={"schedule": "cosine"}, reference=reference)
            for name in names
        ]
        settings: dict[str, Any] = {"data": Data("digits", image_size=16), "budget": Budget(trials=4, epochs=2)}
        return Study(study_name, families=families, **{**settings, **changes})

    return made


@pytest.fixture(scope="session")
def stored_of() -> Any:
    """A stored family: `stored_of(study, "alpha", [({"lr": 1e-3}, 0.9, {})])`, None for the value of a pruned trial."""

    def made(
        study: Study, name: str, trials: Sequence[tuple[Mapping[str, Any], float | None, Mapping[str, Any]]]
    ) -> StoredFamily:
        opened = optuna.create_study(
            study_name=f"{study.name}/{name}", direction="maximize" if study.objective.maximize else "minimize"
        )
        for trial in trials:
            opened.add_trial(_trial(*trial))
        return StoredFamily.read(opened, {STUDY: {STUDY_RECORD: study.to_json()}})

    return made


@pytest.fixture(scope="session")
def tested() -> Any:
    """A test of 100 images: `tested(right=91)`."""

    def made(right: int, *, classes: tuple[str, ...] = ("stop", "yield"), openings: int = 1) -> TestResult:
        labels = np.arange(100, dtype=np.int64) % len(classes)
        predictions = np.where(np.arange(100) < right, labels, (labels + 1) % len(classes))
        confidences = np.full(100, 0.9, dtype=np.float32)
        return TestResult(
            classes=classes,
            labels=labels,
            predictions=predictions,
            confidences=confidences,
            loss=0.3,
            calibration_error=0.02,
            openings=openings,
            digest="feed",
        )

    return made


@pytest.fixture(scope="session")
def results_of(study_of: Any, stored_of: Any, tested: Any) -> Any:
    """A study at a stage: "begun", "searched", "retrained" or "tested"; changes of its tests stand beside."""

    def made(
        stage: str, *, names: Sequence[str] = tuple(FAMILIES), study: Study | None = None, **test: Any
    ) -> StudyResults:
        searched: Study = study_of(*names) if study is None else study
        families = [_family(searched, name, number) for number, name in enumerate(names)]
        if stage in ("retrained", "tested"):
            families = [_retrained(family) for family in families]
        if stage == "tested":
            rights = [right for _, right in FAMILIES.values()]
            families = [_tested(family, rights[i], test) for i, family in enumerate(families)]
        if stage == "begun":
            families = [
                replace(family, stored=stored_of(searched, family.name, []), candidate=None) for family in families
            ]
        return StudyResults(
            study=searched,
            families=tuple(families),
            data={"digest": "abcd", "split_digest": "ef01", "layout": "embedded"},
            versions={"optrack": "0.1.0"},
            git_commit="c0ffee",
            tracking_uri="sqlite:///mlflow.db",
            storage="sqlite:///optuna.db",
        )

    def _family(study: Study, name: str, number: int) -> FamilyResult:
        value = [value for value, _ in FAMILIES.values()][number]
        best = {"lr": 1e-3, "depth": 5, "optimizer": "adam"}
        trials: list[Any] = [
            (best, value, {}),
            ({**best, "lr": 5e-4, "optimizer": "sgd", "momentum": 0.9}, value - 0.02, {}),
            ({**best, "depth": 2}, None, {}),
            (best, value - 0.01, {"replicate_of": 0}),
        ]
        stored = stored_of(study, name, trials)
        return FamilyResult(stored=stored, candidate=picked(stored, {}), parameters=12345)

    def _retrained(family: FamilyResult) -> FamilyResult:
        models = [
            RetrainedModel(
                run=ModelRun(
                    run_id=f"run{number}",
                    family=family.name,
                    stage="retrain",
                    trial=0,
                    value=None,
                    number=number,
                    seed=1000 + number,
                    training="",
                    state="finished",
                    threads=1,
                    deaths=0,
                    openings=0,
                    latency_device=None,
                    metrics={},
                ),
                epochs=(
                    epoch_of({"epoch": 1, "train_loss": 0.5, "train_accuracy": 0.875, "lr": 0.1, "seconds": 75.0}),
                ),
            )
            for number in (1, 2)
        ]
        return replace(family, models=tuple(models))

    def _tested(family: FamilyResult, right: int, test: Mapping[str, Any]) -> FamilyResult:
        models = [replace(model, test=tested(right + model.run.number - 1, **test)) for model in family.models]
        return replace(
            family,
            models=tuple(models),
            latency_ms=0.25,
            latency_device="cpu",
            version="7",
            pictures={name: _png() for name in ("misclassified", "filters", "feature_maps")},
        )

    return made


def _png() -> bytes:
    """A grey pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\x00\x80")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts
