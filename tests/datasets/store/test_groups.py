import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from optrack.datasets import DataError
from optrack.datasets.store.groups import check_apart, groups_of, split_off_groups

SHARES = st.floats(0.05, 0.6)
SEEDS = st.integers(0, 2**32 - 1)
SINGLE_CLASS_GROUPS = st.lists(st.lists(st.integers(1, 30), min_size=2, max_size=12), min_size=2, max_size=6)
"""Of every class, the sizes of its groups."""


def _names(labels: "np.ndarray") -> list[str]:
    return [f"class{index}" for index in range(int(labels.max()) + 1)]


def _images(sizes: list[list[int]]) -> "tuple[np.ndarray, np.ndarray]":
    """Labels and groups of images in random order, where every group is of one class."""
    labels = np.concatenate([[label] * sum(groups) for label, groups in enumerate(sizes)]).astype(np.int64)
    flat = [size for groups in sizes for size in groups]
    groups = np.repeat(np.arange(len(flat)), flat).astype(np.int64)
    order = np.random.default_rng(0).permutation(len(labels))
    return labels[order], groups[order]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=8, max_size=80), SHARES, SEEDS)
def test_no_group_straddles_and_every_class_is_on_both_sides_or_it_is_refused(
    images: list[tuple[int, int]], share: float, seed: int
) -> None:
    labels = np.array([label for label, _ in images], dtype=np.int64)
    groups = np.unique(np.array([group for _, group in images]), return_inverse=True)[1].astype(np.int64)
    assume(set(labels.tolist()) == set(range(labels.max() + 1)))
    try:
        stays, taken = split_off_groups(labels, groups, _names(labels), share=share, seed=seed, part="validation")
    except DataError:
        return
    assert np.array_equal(np.sort(np.concatenate([stays, taken])), np.arange(len(labels)))
    assert np.all(np.diff(stays) > 0)
    assert np.all(np.diff(taken) > 0)
    assert not set(groups[stays].tolist()) & set(groups[taken].tolist())
    assert set(labels[stays].tolist()) == set(labels[taken].tolist()) == set(labels.tolist())


@settings(max_examples=60, deadline=None)
@given(SINGLE_CLASS_GROUPS, SHARES, SEEDS)
def test_every_class_keeps_its_share_to_within_half_a_group(sizes: list[list[int]], share: float, seed: int) -> None:
    labels, groups = _images(sizes)
    _, taken = split_off_groups(labels, groups, _names(labels), share=share, seed=seed, part="validation")
    for label, in_class in enumerate(sizes):
        got, wanted = np.count_nonzero(labels[taken] == label), share * sum(in_class)
        alone = len(np.unique(groups[taken][labels[taken] == label]))
        needed = alone == 1 or alone == len(in_class) - 1
        smallest, largest = min(in_class), max(in_class)
        assert abs(got - wanted) <= largest / 2 + 1e-9 or (needed and got in {smallest, sum(in_class) - smallest})


@settings(max_examples=20, deadline=None)
@given(SINGLE_CLASS_GROUPS, SHARES, SEEDS)
def test_a_group_split_depends_on_its_seed_alone(sizes: list[list[int]], share: float, seed: int) -> None:
    labels, groups = _images(sizes)
    first, again = (
        split_off_groups(labels, groups, _names(labels), share=share, seed=seed, part="validation")[1] for _ in "ab"
    )
    assert np.array_equal(first, again)


def test_other_seeds_choose_other_groups() -> None:
    labels, groups = _images([[5] * 20, [5] * 20])
    parts = {
        tuple(split_off_groups(labels, groups, ["a", "b"], share=0.2, seed=seed, part="validation")[1].tolist())
        for seed in range(8)
    }
    assert len(parts) == 8


def test_equal_groups_give_every_class_its_exact_share() -> None:
    labels, groups = _images([[30] * 10, [30] * 40])
    _, taken = split_off_groups(labels, groups, ["a", "b"], share=0.2, seed=3, part="validation")
    assert np.bincount(labels[taken]).tolist() == [60, 240]


def test_a_class_of_large_groups_loses_its_smallest_one() -> None:
    labels, groups = _images([[50, 40, 30], [1] * 60])
    _, taken = split_off_groups(labels, groups, ["a", "b"], share=0.1, seed=0, part="validation")
    assert np.bincount(labels[taken]).tolist() == [30, 6]


def test_a_class_with_one_group_is_refused() -> None:
    labels, groups = _images([[9], [3, 3]])
    with pytest.raises(DataError, match=r"every class must have groups on both sides .* class 'a' has 1 group in all"):
        split_off_groups(labels, groups, ["a", "b"], share=0.3, seed=0, part="validation")


def test_classes_that_no_division_of_groups_puts_on_both_sides_are_refused() -> None:
    # Any two of the three classes share a group, and each has two groups: one class is always on one side.
    labels, groups = np.array([0, 1, 1, 2, 2, 0], dtype=np.int64), np.array([0, 0, 1, 1, 2, 2], dtype=np.int64)
    with pytest.raises(DataError, match="groups with several classes"):
        split_off_groups(labels, groups, ["a", "b", "c"], share=0.5, seed=0, part="validation")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [(r"^([^/]+/\d+)_", [0, 0, 1, 2]), (r"/\d+", [0, 0, 1, 0]), (r"(?<=/)(\d)\d*_(\d)", [0, 0, 0, 0])],
)
def test_the_first_group_or_the_whole_match_is_the_key(pattern: str, expected: list[int]) -> None:
    names = ["ant/1_0.png", "ant/1_1.png", "ant/12_0.png", "bee/1_0.png"]
    assert groups_of(names, pattern).tolist() == expected


@pytest.mark.parametrize("pattern", ["(", "[z-a]", "*"])
def test_a_pattern_that_is_no_regular_expression_is_refused(pattern: str) -> None:
    with pytest.raises(DataError, match="must be a regular expression, but"):
        groups_of(["ant/1.png"], pattern)


@pytest.mark.parametrize("pattern", [r"bee/(\d)", r"(\d)?x?$", r"(x*)"])
def test_names_without_a_key_are_named(pattern: str) -> None:
    with pytest.raises(DataError, match=r"finds no key in \d of 2: ant/1.png"):
        groups_of(["ant/1.png", "bee/1.pngx"], pattern)


def test_official_parts_that_share_a_group_are_refused() -> None:
    names = ["ant/1_0.png", "ant/2_0.png", "ant/2_1.png", "ant/3_0.png"]
    check_apart(np.array([0, 0, 1, 2]), names, start=2)
    message = r"both train and the validation part, but 1 has, for example that of ant/2_0\.png and ant/2_1\.png"
    with pytest.raises(DataError, match=message):
        check_apart(np.array([0, 1, 1, 2]), names, start=2)
