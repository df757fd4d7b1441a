# SciPy has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest, t

from optrack.search.results.uncertainty import (
    accuracy_estimate,
    accuracy_interval,
    difference_estimate,
    images_needed,
    seeds_needed,
    student_quantile,
)

LEVEL = 0.05


def answers_of(seeds: int, images: int, seed: int = 0) -> NDArray[np.bool_]:
    """What some trainings recognise of images that are hard for all of them or for none."""
    rng = np.random.default_rng(seed)
    return rng.random((seeds, images)) < rng.beta(6, 1, images)


def test_of_two_models_the_variance_is_that_of_the_paired_differences() -> None:
    first, second = answers_of(2, 500)[:, None]
    found = difference_estimate(first, second)
    differences = first[0].astype(float) - second[0]
    assert found.value == pytest.approx(differences.mean())
    assert found.variance == pytest.approx(differences.var(ddof=1) / 500)
    assert (found.degrees, found.trainings) == (pytest.approx(499), ())


def test_groups_have_the_variance_of_their_sums() -> None:
    groups = np.random.default_rng(1).integers(0, 40, 600)
    first, second = answers_of(2, 600)[:, None]
    found = difference_estimate(first, second, groups)
    differences = first[0].astype(float) - second[0]
    sums = [differences[groups == group].sum() - (groups == group).sum() * differences.mean() for group in range(40)]
    assert found.variance == pytest.approx(40 / 39 * np.square(sums).sum() / 600**2)
    assert found.degrees == pytest.approx(39)


def test_seeds_add_their_own_variance_once() -> None:
    correct = answers_of(4, 300)
    found = accuracy_estimate(correct)
    covariances = np.cov(correct) / 300
    between = (covariances.sum() - np.trace(covariances)) / 12
    assert found.variance == pytest.approx(correct.mean(axis=1).var(ddof=1) / 4 + between)
    [training] = found.trainings
    assert training.degrees == 3
    assert 0 <= training.of_images <= training.variance


def test_without_differences_among_seeds_only_the_images_are_left() -> None:
    one = answers_of(1, 300)
    found = accuracy_estimate(np.repeat(one, 3, axis=0))
    assert found.variance == pytest.approx(one.var(ddof=1) / 300)


@pytest.mark.parametrize("groups", [None, np.arange(200) // 10])
def test_the_order_of_images_and_seeds_changes_nothing(groups: Any) -> None:
    first, second = answers_of(3, 200), answers_of(2, 200, seed=1)
    order = np.random.default_rng(2).permutation(200)
    before = difference_estimate(first, second, groups)
    after = difference_estimate(first[::-1][:, order], second[:, order], None if groups is None else groups[order])
    assert after.interval == pytest.approx(before.interval)
    assert difference_estimate(second, first, groups).interval == pytest.approx([-end for end in before.interval[::-1]])


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_about_95_of_100_intervals_hold_the_true_difference(seeds: int) -> None:
    rng = np.random.default_rng(3)
    rounds, images, gap, spread = 400, 400, 0.03, 0.02

    def covered() -> bool:
        # Images differ in how hard they are, for both families alike; trainings in how good they are.
        ease = rng.beta(4, 1, images) * (1 - gap)
        first = rng.random((seeds, images)) < ease + gap + spread * rng.standard_normal((seeds, 1))
        second = rng.random((seeds, images)) < ease + spread * rng.standard_normal((seeds, 1))
        low, high = difference_estimate(first, second).interval
        return low <= gap <= high

    assert 0.92 <= sum(covered() for _ in range(rounds)) / rounds <= 0.985


def test_the_p_values_are_those_of_the_interval() -> None:
    found = difference_estimate(answers_of(3, 400), answers_of(4, 400, seed=5))
    low, high = found.interval
    assert found.above(low) == pytest.approx(LEVEL)
    assert found.within(max(abs(low), abs(high))) == pytest.approx(LEVEL)


def test_what_suffices_shows_the_difference_and_a_little_less_does_not() -> None:
    found = difference_estimate(answers_of(5, 400), answers_of(5, 400, seed=5))
    times = images_needed(found, 0.05, level=LEVEL)
    assert times is not None
    assert found.with_images(times).detectable(LEVEL) <= 0.05 < found.with_images(times / 1.02).detectable(LEVEL)
    easier = images_needed(found, 0.05, level=2 * LEVEL)
    assert easier is not None
    assert easier < times
    wanted = found.with_seeds(12).detectable(LEVEL)
    assert seeds_needed(found, wanted, level=LEVEL) == 12
    assert seeds_needed(found, 1e-6, level=LEVEL) is None


def test_one_model_has_wilsons_interval_and_one_image_tells_nothing() -> None:
    [correct] = answers_of(1, 60)
    expected = binomtest(int(correct.sum()), 60).proportion_ci(method="wilson")
    assert accuracy_interval(correct[None]) == pytest.approx((expected.low, expected.high))
    assert difference_estimate(np.array([[True]]), np.array([[False]])).interval == (-1.0, 1.0)


def test_the_interval_of_independent_answers_is_nearly_the_exact_one() -> None:
    # As many groups as images: what differs is that the variance is estimated.
    [correct] = answers_of(1, 4000)
    expected = binomtest(int(correct.sum()), 4000).proportion_ci(method="exact")
    assert accuracy_interval(correct[None], np.arange(4000)) == pytest.approx((expected.low, expected.high), abs=2e-4)


@given(
    correct=st.integers(1, 3).flatmap(
        lambda seeds: st.lists(st.lists(st.booleans(), min_size=seeds, max_size=seeds), min_size=1, max_size=12)
    ),
    data=st.data(),
)
def test_every_interval_holds_its_accuracy_and_only_what_is_possible(correct: Any, data: st.DataObject) -> None:
    answers = np.array(correct).T
    labels = data.draw(st.lists(st.integers(0, 3), min_size=answers.shape[1], max_size=answers.shape[1]))
    for groups in (None, np.array(labels)):
        low, high = accuracy_interval(answers, groups)
        assert 0 <= low <= answers.mean() + 1e-12
        assert answers.mean() - 1e-12 <= high <= 1


@given(share=st.floats(0.01, 0.99), degrees=st.floats(1, 1000))
def test_students_quantiles_are_scipys(share: float, degrees: float) -> None:
    assert student_quantile(share, degrees) == pytest.approx(float(t.ppf(share, degrees)), rel=1e-6, abs=1e-9)
