import math
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from optrack.search.study import EpochResult, best_epoch
from optrack.search.study.metric import EPOCH_METRICS
from optrack.search.training import Job

RESULT = EpochResult(
    epoch=3, train_loss=0.5, train_accuracy=0.75, val_loss=0.25, val_accuracy=0.875, lr=0.01, seconds=2.0
)


def test_a_job_survives_the_way_to_a_worker(job_of: Callable[..., Job]) -> None:
    job = job_of(optimizer="sgd")
    assert pickle.loads(pickle.dumps(job)) == job  # noqa: S301 - what the pipe to a worker does
    assert len(pickle.dumps(job)) < 10_000


def test_a_job_goes_by_family_trial_and_seed(job_of: Callable[..., Job]) -> None:
    assert job_of(trial=7, seed=3).key == ("f", 7, 3)
    assert len({job_of(trial=trial, seed=seed).key for trial in (1, 2) for seed in (1, 2)}) == 4


def test_a_job_cannot_be_changed(job_of: Callable[..., Job]) -> None:
    with pytest.raises(FrozenInstanceError):
        job_of().seed = 2  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_the_metrics_of_an_epoch_are_all_but_its_number() -> None:
    assert RESULT.metrics() == {
        "train_loss": 0.5,
        "train_accuracy": 0.75,
        "val_loss": 0.25,
        "val_accuracy": 0.875,
        "lr": 0.01,
        "seconds": 2.0,
    }
    assert tuple(RESULT.metrics()) == EPOCH_METRICS


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [
        ("val_accuracy", [0.5, 0.75, 0.75], 2),
        ("val_loss", [0.5, 0.25, 0.25], 2),
        ("val_loss", [math.nan, 0.5, math.inf], 2),
        ("val_accuracy", [math.nan], None),
        ("val_accuracy", [None, None], None),
        ("val_loss", [], None),
    ],
)
def test_the_best_epoch_is_the_first_with_the_best_finite_value(
    metric: Any, values: list[float | None], best: int | None
) -> None:
    epochs = [replace(RESULT, epoch=epoch, **{metric: value}) for epoch, value in enumerate(values, start=1)]
    found = best_epoch(epochs, metric)
    assert (found and found.epoch) == best


@pytest.mark.parametrize("loss", ["train_loss", "val_loss"])
def test_an_epoch_whose_loss_is_not_finite_is_never_the_best_one(loss: str) -> None:
    diverged = replace(RESULT, epoch=2, val_accuracy=1.0, **{loss: math.nan})
    assert best_epoch([RESULT, diverged], "val_accuracy") == RESULT
    assert best_epoch([diverged], "val_accuracy") is None
