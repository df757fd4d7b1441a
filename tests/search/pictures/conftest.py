"""Families at any moment of a study, from thin air."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from optrack.search import Budget, Data, Family, Study
from optrack.search.results.values import FamilyResult, RetrainedModel, StudyResults, TestResult
from optrack.search.stores.model_runs import ModelRun
from optrack.search.stores.trials import StoredFamily, epoch_of, trial_of
from optrack.search.study.metric import MetricName

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "batch_norm": CategoricalDistribution((True, False)),
    "bn_momentum": FloatDistribution(0.01, 0.5, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
}


def epochs_of(count: int, best: int, top: float) -> list[dict[str, float]]:
    """So many epochs with the best one at its place, each of a second."""
    return [
        {
            "epoch": number,
            "train_loss": 2.0 / number,
            "train_accuracy": 1 - 0.9 / number,
            "val_loss": 1.0 + abs(number - best),
            "val_accuracy": top - 0.01 * abs(number - best),
            "lr": 0.01,
            "seconds": 1.0,
        }
        for number in range(1, count + 1)
    ]


def a_trial(number: int, state: str, value: float | None, params: Mapping[str, Any]) -> FrozenTrial:
    """A trial of two epochs, a minute after the one before it."""
    start = datetime(2026, 1, 1) + timedelta(minutes=number)  # noqa: DTZ001  Optuna's times are naive
    ended = TrialState[state].is_finished()
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=TrialState[state],
        value=value,
        datetime_start=None if state == "WAITING" else start,
        datetime_complete=start + timedelta(seconds=30) if ended else None,
        params=dict(params),
        distributions={name: DISTRIBUTIONS[name] for name in params},
        user_attrs={"epochs": epochs_of(2, 2, value or 0.5), "best_epoch": 2} if ended else {},
        system_attrs={},
        intermediate_values={1: 0.4, 2: 0.5} if state != "WAITING" else {},
    )


def a_test(labels: Sequence[int], predictions: Sequence[int], classes: Sequence[str]) -> TestResult:
    """A test with confidences that fall from image to image."""
    return TestResult(
        classes=tuple(classes),
        labels=np.array(labels, dtype=np.int64),
        predictions=np.array(predictions, dtype=np.int64),
        confidences=np.linspace(0.95, 0.35, len(labels), dtype=np.float32),
        loss=0.5,
        calibration_error=0.0325,
        openings=1,
        digest="00",
    )


def a_family(
    name: str = "lenet",
    *,
    values: Sequence[float | None] = (0.8, 0.9, 0.7),
    states: Sequence[str] | None = None,
    params: Sequence[Mapping[str, Any]] | None = None,
    best_epoch: int = 3,
    seeds: int = 0,
    test: TestResult | None = None,
    metric: MetricName = "val_accuracy",
    **known: Any,
) -> FamilyResult:
    """A family with a trial for each value; its candidate is its best trial, with five epochs."""
    study = Study(
        "study",
        data=Data("digits"),
        families=[Family("lenet", architecture="lenet"), Family("mlp", architecture="mlp")],
        budget=Budget(trials=3),
        metric=metric,
    )
    shown = states or ["COMPLETE"] * len(values)
    settings = params or [{"lr": 0.001 * (number + 1)} for number in range(len(values))]
    made = enumerate(zip(shown, values, settings, strict=True))
    trials = tuple(trial_of(a_trial(number, *each)) for number, each in made)
    stored = StoredFamily(name=name, optuna_study=optuna.create_study(), study=study, trials=trials, kept={})
    best = stored.best
    candidate = best and replace(
        best,
        best_epoch=best_epoch,
        epochs=tuple(map(epoch_of, epochs_of(5, best_epoch, best.value or 0.0))),
    )
    models = tuple(
        RetrainedModel(
            run=ModelRun(
                run_id=f"run{number}",
                family=name,
                stage="retrain",
                trial=0,
                value=None,
                number=number,
                seed=10 + number,
                training="",
                state="finished",
                threads=1,
                deaths=0,
                openings=0,
                latency_device=None,
                metrics={},
            ),
            epochs=tuple(map(epoch_of, epochs_of(best_epoch, best_epoch, 0.9))),
            test=test,
        )
        for number in range(1, seeds + 1)
    )
    return FamilyResult(stored=stored, candidate=candidate, models=models, **known)


def some_results(*families: FamilyResult, **changes: Any) -> StudyResults:
    """The results of a study with these families."""
    study = replace(families[0].stored.study, **changes) if families else a_family().stored.study
    return StudyResults(
        study=study,
        families=families,
        data={},
        versions={},
        git_commit=None,
        tracking_uri="sqlite:///mlflow.db",
        storage="sqlite:///optuna.db",
    )


@pytest.fixture(scope="session")
def family() -> Callable[..., FamilyResult]:
    return a_family


@pytest.fixture(scope="session")
def tested() -> Callable[..., TestResult]:
    return a_test


@pytest.fixture(scope="session")
def results() -> Callable[..., StudyResults]:
    return some_results
