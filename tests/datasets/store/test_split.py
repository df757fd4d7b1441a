from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from optrack.datasets import DataError
from optrack.datasets.store.split import channel_statistics, split_off, split_parts, withhold_test

if TYPE_CHECKING:
    from numpy.typing import NDArray

COUNTS = st.lists(st.integers(7, 60), min_size=2, max_size=8)
SHARES = st.floats(0.2, 0.5)


def _labels(counts: list[int]) -> "NDArray[np.int64]":
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    return np.random.default_rng(0).permutation(labels)


def _names(counts: list[int]) -> list[str]:
    return [f"class{index}" for index in range(len(counts))]


@settings(max_examples=60, deadline=None)
@given(COUNTS, SHARES, st.integers(0, 2**32 - 1))
def test_a_split_is_disjoint_complete_sorted_and_keeps_the_classes_shares(
    counts: list[int], share: float, seed: int
) -> None:
    labels = _labels(counts)
    stays, taken = split_off(labels, _names(counts), share=share, seed=seed, part="validation")
    assert stays.dtype == taken.dtype == np.int64
    assert np.array_equal(np.sort(np.concatenate([stays, taken])), np.arange(len(labels)))
    assert np.all(np.diff(stays) > 0)
    assert np.all(np.diff(taken) > 0)
    expected = np.array(counts) * len(taken) / len(labels)
    assert np.abs(np.bincount(labels[taken], minlength=len(counts)) - expected).max() < 1
    assert len(taken) == pytest.approx(share * len(labels), abs=1)


@settings(max_examples=30, deadline=None)
@given(COUNTS, SHARES, st.integers(0, 2**32 - 1))
def test_a_split_depends_on_the_seed_alone(counts: list[int], share: float, seed: int) -> None:
    labels = _labels(counts)
    assume(len(labels) > 40)
    first, again, other = (
        split_off(labels, _names(counts), share=share, seed=value, part="validation")[1]
        for value in (seed, seed, (seed + 1) % 2**32)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=6), st.floats(0.01, 0.5))
def test_a_split_either_has_every_class_on_both_sides_or_is_refused(counts: list[int], share: float) -> None:
    labels = _labels(counts)
    try:
        parts = split_off(labels, _names(counts), share=share, seed=0, part="validation")
    except DataError:
        assert min(counts) <= 1 / share + 1
    else:
        assert all(len(np.unique(labels[part])) == len(counts) for part in parts)


@pytest.mark.parametrize(("counts", "share"), [([1, 20], 0.5), ([2, 20], 0.1), ([20, 20], 0.01), ([0, 20], 0.5)])
def test_too_small_a_class_or_share_is_said_in_our_own_words(counts: list[int], share: float) -> None:
    labels = _labels(counts)
    with pytest.raises(DataError, match=rf"every class must have images on both sides when {share} .* 'class0' has"):
        split_off(labels, _names(counts), share=share, seed=0, part="validation")


def test_the_withheld_test_part_is_a_fifth_and_never_changes() -> None:
    labels = np.repeat(np.arange(3), 10).astype(np.int64)
    kept, test = withhold_test(labels, ["a", "b", "c"])
    assert test.tolist() == [3, 6, 13, 14, 20, 25]
    assert sorted([*kept.tolist(), *test.tolist()]) == list(range(30))


def test_an_official_validation_part_is_used_as_it_is() -> None:
    labels = np.array([0, 1, 0, 1, 1], dtype=np.int64)
    train, validation = split_parts(labels, ["a", "b"], 3, validation=0.5, split_seed=7)
    assert train.tolist() == [0, 1, 2]
    assert validation.tolist() == [3, 4]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.sampled_from([1, 3]), st.integers(0, 2**16))
def test_statistics_equal_numpys_over_the_given_images_alone(count: int, channels: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count + 5, channels, 5, 4), dtype=np.uint8)
    indices = np.sort(generator.choice(count + 5, count, replace=False)).astype(np.int64)
    mean, std = channel_statistics(images, indices)
    expected = images[indices].astype(np.float64) / 255
    np.testing.assert_allclose(mean, expected.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, expected.std(axis=(0, 2, 3)), rtol=1e-9, atol=1e-12)


def test_a_channel_that_never_changes_has_a_standard_deviation_of_exactly_zero() -> None:
    _, std = channel_statistics(np.full((7, 1, 3, 3), 77, dtype=np.uint8), np.arange(7, dtype=np.int64))
    assert std.tolist() == [0.0]
