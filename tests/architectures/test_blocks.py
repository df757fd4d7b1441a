"""What several architectures are built from."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optrack.architectures.blocks import classifier, hidden_widths


@pytest.mark.parametrize(
    ("depth", "width", "width_factor", "repeats", "expected"),
    [
        (0, 512, 0.5, 1, []),
        (1, 512, 0.5, 1, [512]),
        (3, 512, 0.5, 1, [512, 256, 128]),
        (3, 100, 1.0, 1, [100, 100, 100]),
        (4, 10, 0.25, 1, [10, 2, 1, 1]),
        (3, 1, 0.01, 1, [1, 1, 1]),
        (7, 1024, 0.5, 2, [1024, 1024, 512, 512, 256, 256, 128]),
        (2, 512, 0.5, 3, [512, 512]),
    ],
)
def test_each_width_is_the_one_before_times_the_factor(
    depth: int, width: int, width_factor: float, repeats: int, expected: list[int]
) -> None:
    assert hidden_widths(depth, width, width_factor, repeats) == expected


@given(
    depth=st.integers(1, 12),
    width=st.integers(1, 4096),
    width_factor=st.floats(0, 1, exclude_min=True, width=32),
    repeats=st.integers(1, 4),
)
def test_widths_never_grow_and_never_vanish(depth: int, width: int, width_factor: float, repeats: int) -> None:
    widths = hidden_widths(depth, width, width_factor, repeats)
    assert len(widths) == depth
    assert widths[0] == width
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] >= 1


def names(**options: Any) -> list[str]:
    return [name for name, _ in classifier(6, 3, [5], **options).named_children()]


def test_a_classifier_is_hidden_layers_and_then_one_to_the_logits() -> None:
    assert [name for name, _ in classifier(6, 3, []).named_children()] == ["flatten", "fc1"]
    assert names() == ["flatten", "fc1", "relu1", "fc2"]
    assert names(batch_norm=True, dropout=0.5) == ["flatten", "fc1", "bn1", "relu1", "dropout1", "fc2"]
    assert names(batch_norm=True, relu_first=True) == ["flatten", "fc1", "relu1", "bn1", "fc2"]


def test_without_hidden_layers_dropout_stands_on_the_features() -> None:
    assert [name for name, _ in classifier(6, 3, [], dropout=0.5).named_children()] == ["flatten", "dropout", "fc1"]
