import math
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from optrack.search.training import METRICS, EpochResult, Job, improves

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
    assert tuple(RESULT.metrics()) == METRICS


@pytest.mark.parametrize(
    ("metric", "value", "best", "better"),
    [
        ("val_accuracy", 0.5, None, True),
        ("val_accuracy", 0.6, 0.5, True),
        ("val_accuracy", 0.5, 0.5, False),
        ("val_accuracy", 0.4, 0.5, False),
        ("val_loss", 0.4, 0.5, True),
        ("val_loss", 0.5, 0.5, False),
        ("val_loss", math.inf, None, True),
        ("val_loss", math.nan, None, False),
        ("val_loss", math.nan, 0.5, False),
    ],
)
def test_a_value_is_better_when_it_is_strictly_on_the_good_side_of_the_best(
    metric: Any,
    value: float,
    best: float | None,
    better: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert improves(metric, value, best) is better
