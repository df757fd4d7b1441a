import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optrack.search.study.metric import EPOCH_METRICS, METRICS, Metric

METRIC = st.sampled_from(list(METRICS.values()))
VALUE = st.none() | st.floats()


def counts(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


@pytest.mark.parametrize(
    ("name", "value", "best", "better"),
    [
        ("val_accuracy", 0.5, None, True),
        ("val_accuracy", 0.6, 0.5, True),
        ("val_accuracy", 0.5, 0.5, False),
        ("val_accuracy", 0.4, 0.5, False),
        ("val_loss", 0.4, 0.5, True),
        ("val_loss", 0.5, 0.5, False),
        ("val_loss", 0.5, math.nan, True),
        ("val_loss", math.inf, None, False),
        ("val_loss", math.nan, None, False),
        ("val_loss", None, None, False),
        ("val_accuracy", math.inf, 0.5, False),
        ("val_accuracy", 0.5, math.inf, True),
    ],
)
def test_a_value_is_better_when_it_is_finite_and_strictly_on_the_good_side(
    name: str,
    value: float | None,
    best: float | None,
    better: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert METRICS[name].better(value, best) is better


@given(METRIC, st.lists(VALUE))
def test_the_best_of_some_values_is_the_first_that_no_other_is_better_than(
    metric: Metric, values: list[float | None]
) -> None:
    best = metric.best_of(range(len(values)), values.__getitem__)
    if best is None:
        assert not any(counts(value) for value in values)
    else:
        assert counts(values[best])
        assert not any(metric.better(value, values[best]) for value in values)
        assert all(metric.better(values[best], value) for value in values[:best])


@given(METRIC, st.lists(VALUE))
def test_a_ranking_has_every_finite_value_the_best_first_and_equals_in_their_order(
    metric: Metric, values: list[float | None]
) -> None:
    ranked: list[Any] = metric.ranked(list(enumerate(values)), key=lambda item: item[1])
    assert sorted(place for place, _ in ranked) == [place for place, value in enumerate(values) if counts(value)]
    assert ranked == sorted(ranked, key=lambda item: (-metric.sign * item[1], item[0]))


def test_losses_are_minimized_and_accuracies_maximized() -> None:
    assert {name: metric.maximize for name, metric in METRICS.items()} == {
        "train_loss": False,
        "train_accuracy": True,
        "val_loss": False,
        "val_accuracy": True,
    }
    assert [metric.name for metric in METRICS.values()] == list(METRICS)
    assert EPOCH_METRICS == ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds")
