"""How weights are drawn."""

import math

import pytest
import torch
from torch import Tensor, nn

from optrack.architectures.hyperparameters import Init
from optrack.architectures.initialisation import initialise

FAN_IN, FAN_OUT = 20 * 9, 30 * 9


def drawn(init: Init) -> tuple[Tensor, Tensor, nn.Sequential]:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(20, 30, 3), nn.BatchNorm2d(30), nn.Flatten(), nn.Linear(300, 200))
    initialise(layers, init)
    convolution = layers[0]
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.bias is not None
    return convolution.weight.detach(), convolution.bias.detach(), layers


def test_by_default_weights_are_as_the_layers_come() -> None:
    weight, bias, _ = drawn("default")
    torch.manual_seed(0)
    untouched = nn.Conv2d(20, 30, 3)
    assert torch.equal(weight, untouched.weight)
    assert untouched.bias is not None
    assert torch.equal(bias, untouched.bias)


def test_xavier_is_uniform_within_the_bound_of_the_paper() -> None:
    weight, bias, _ = drawn("xavier")
    bound = math.sqrt(6 / (FAN_IN + FAN_OUT))
    assert float(weight.abs().max()) == pytest.approx(bound, rel=0.01)
    assert float(weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.03)
    assert not bias.any()


def test_kaiming_is_normal_with_the_variance_of_the_paper() -> None:
    weight, bias, _ = drawn("kaiming")
    deviation = math.sqrt(2 / FAN_IN)
    assert float(weight.std()) == pytest.approx(deviation, rel=0.03)
    assert float(weight.abs().max()) > 3 * deviation
    assert not bias.any()


@pytest.mark.parametrize("init", ["xavier", "kaiming"])
def test_linear_layers_are_drawn_too_and_batch_norm_is_left_alone(init: Init) -> None:
    _, _, layers = drawn(init)
    _, norm, _, linear = layers
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(linear, nn.Linear)
    assert (norm.weight == 1).all()
    assert not linear.bias.any()
