import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optrack.search.importance.resampling import intervals


def means_of(values: NDArray[np.float64], used: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Means of the columns of values, float [N, K]."""
    return values[used].mean(axis=0)


def intervals_of_means(
    values: NDArray[np.float64], *, rounds: int = 60, at_most: int = 1000, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return intervals(
        values.mean(axis=0),
        lambda used: means_of(values, used),
        len(values),
        rounds=rounds,
        at_most=at_most,
        rng=rng,
    )


@pytest.mark.parametrize("at_most", [1000, 10])
def test_the_intervals_of_a_mean_are_those_of_its_standard_error(at_most: int) -> None:
    values = np.random.default_rng(1).uniform(0.4, 0.6, (50, 1))
    low, high = intervals_of_means(values, rounds=3000, at_most=at_most)
    expected = 2 * 1.645 * values.std(ddof=1) / np.sqrt(50)
    assert high - low == pytest.approx(expected, rel=0.05)


def test_the_intervals_of_a_mean_hold_nine_times_in_ten() -> None:
    rng = np.random.default_rng(2)
    low, high = zip(*(intervals_of_means(rng.uniform(0, 1, (40, 5)), seed=i) for i in range(80)), strict=True)
    held = (np.array(low) <= 0.5) & (np.array(high) >= 0.5)
    assert 0.85 < held.mean() < 0.95  # of 400, whose standard error is 0.015


@given(st.integers(1, 30), st.integers(2, 20), st.integers(0, 100))
def test_intervals_hold_the_estimate_and_stay_between_0_and_1(trials: int, at_most: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 2, (trials, 3)).astype(np.float64)
    low, high = intervals_of_means(values, rounds=5, at_most=at_most, seed=seed)
    estimate = values.mean(axis=0)
    assert ((low >= 0) & (low <= estimate) & (estimate <= high) & (high <= 1)).all()


@pytest.mark.parametrize("trials", [1, 2])
def test_of_one_or_two_trials_nothing_is_known(trials: int) -> None:
    low, high = intervals_of_means(np.full((trials, 2), 0.5))
    assert (low.tolist(), high.tolist()) == ([0, 0], [1, 1])
