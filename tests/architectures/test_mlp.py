"""Multilayer perceptron."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from optrack.architectures.mlp import MLP, hidden_widths


@pytest.mark.parametrize(
    ("depth", "width", "width_factor", "expected"),
    [
        (1, 512, 0.5, [512]),
        (3, 512, 0.5, [512, 256, 128]),
        (3, 100, 1.0, [100, 100, 100]),
        (4, 10, 0.25, [10, 2, 1, 1]),
        (3, 1, 0.01, [1, 1, 1]),
    ],
)
def test_each_width_is_the_one_before_times_the_factor(
    depth: int, width: int, width_factor: float, expected: list[int]
) -> None:
    assert hidden_widths(depth, width, width_factor) == expected


@given(depth=st.integers(1, 12), width=st.integers(1, 4096), width_factor=st.floats(0, 1, exclude_min=True, width=32))
def test_widths_never_grow_and_never_vanish(depth: int, width: int, width_factor: float) -> None:
    widths = hidden_widths(depth, width, width_factor)
    assert len(widths) == depth
    assert widths[0] == width
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] >= 1


def test_each_hidden_layer_is_linear_then_batch_norm_then_relu_then_dropout() -> None:
    model = MLP((1, 8, 8), 10, depth=2, width=20, width_factor=0.5, batch_norm=True, bn_momentum=0.3, dropout=0.25)
    names = [name for name, _ in model.layers.named_children()]
    assert names == ["flatten", "fc1", "bn1", "relu1", "dropout1", "fc2", "bn2", "relu2", "dropout2", "fc3"]
    batch_norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
    dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    assert [(module.num_features, module.momentum) for module in batch_norms] == [(20, 0.3), (10, 0.3)]
    assert [module.p for module in dropouts] == [0.25, 0.25]


def test_without_batch_norm_and_dropout_neither_is_there() -> None:
    names = [name for name, _ in MLP((1, 8, 8), 10, depth=1).layers.named_children()]
    assert names == ["flatten", "fc1", "relu1", "fc2"]
