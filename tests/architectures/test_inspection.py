"""Descriptions of architectures."""

import dataclasses
import json
from dataclasses import asdict

import pytest
import torch
from torch import Tensor, nn

from optrack.architectures import ARCHITECTURES, UnknownArchitectureError, architecture
from optrack.architectures.inspection import Layer, describe


class Odd(nn.Module):
    """Uses layers twice, freezes one, leaves one out, holds a parameter itself, and gives a tuple in between."""

    def __init__(self, input_shape: tuple[int, int, int], classes: int, *, width: int) -> None:
        super().__init__()
        features = input_shape[1] * input_shape[2]
        self.unused = nn.Linear(5, 6)
        self.relu = nn.ReLU()
        self.twice = nn.Linear(features, features)
        self.recurrent = nn.GRU(features, width, batch_first=True)
        self.frozen = nn.Linear(width, classes).requires_grad_(requires_grad=False)
        self.scale = nn.Parameter(torch.ones(classes))

    def forward(self, images: Tensor) -> Tensor:
        sequence = self.twice(self.relu(self.twice(images.flatten(2))))  # [B, C, H * W]
        states, _ = self.recurrent(sequence)
        return self.frozen(self.relu(states[:, -1])) * self.scale


class Tied(nn.Module):
    """Has one weight in two layers."""

    def __init__(self, input_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(input_shape[2], classes, bias=False)
        self.second = nn.Linear(input_shape[2], classes, bias=False)
        self.second.weight = self.first.weight

    def forward(self, images: Tensor) -> Tensor:
        return self.first(images[:, 0, 0]) + self.second(images[:, 0, 1])


def test_lenet_is_described_as_by_hand() -> None:
    description = describe("lenet", (3, 30, 30), 43, batch_norm=True, dropout=0.5)
    assert [dataclasses.astuple(layer) for layer in description.layers] == [
        ("features.conv1", "Conv2d", (6, 26, 26), 6 * 3 * 25 + 6, 456),
        ("features.pool1", "MaxPool2d", (6, 13, 13), 0, 0),
        ("features.relu1", "ReLU", (6, 13, 13), 0, 0),
        ("features.conv2", "Conv2d", (16, 9, 9), 16 * 6 * 25 + 16, 2416),
        ("features.pool2", "MaxPool2d", (16, 4, 4), 0, 0),
        ("features.relu2", "ReLU", (16, 4, 4), 0, 0),
        ("classifier.flatten", "Flatten", (256,), 0, 0),
        ("classifier.fc1", "Linear", (120,), 256 * 120 + 120, 30840),
        ("classifier.bn1", "BatchNorm1d", (120,), 240, 240),
        ("classifier.relu1", "ReLU", (120,), 0, 0),
        ("classifier.dropout1", "Dropout", (120,), 0, 0),
        ("classifier.fc2", "Linear", (84,), 120 * 84 + 84, 10164),
        ("classifier.bn2", "BatchNorm1d", (84,), 168, 168),
        ("classifier.relu2", "ReLU", (84,), 0, 0),
        ("classifier.dropout2", "Dropout", (84,), 0, 0),
        ("classifier.fc3", "Linear", (43,), 84 * 43 + 43, 3655),
    ]
    convolutions = 26 * 26 * 6 * (3 * 25) + 9 * 9 * 16 * (6 * 25)
    assert description.multiply_adds == convolutions + 256 * 120 + 120 * 84 + 84 * 43
    assert (description.parameters.total, description.parameters.trainable) == (47_939, 47_939)
    outputs = 6 * (26 * 26 + 2 * 13 * 13) + 16 * (9 * 9 + 2 * 4 * 4) + 256 + 4 * 120 + 4 * 84 + 43
    assert description.activation_bytes == 4 * outputs


def test_the_json_shape_is_the_promised_one() -> None:
    assert json.loads(json.dumps(asdict(describe("logistic", (3, 8, 8), 10)))) == {
        "architecture": "logistic",
        "input": [3, 8, 8],
        "classes": 10,
        "parameters": {"total": 1930, "trainable": 1930},
        "multiply_adds": 1920,
        "activation_bytes": 4 * (192 + 10),
        "layers": [
            {"name": "layers.flatten", "type": "Flatten", "output_shape": [192], "parameters": 0, "trainable": 0},
            {"name": "layers.fc", "type": "Linear", "output_shape": [10], "parameters": 1930, "trainable": 1930},
        ],
    }


def test_layers_used_twice_or_never_frozen_ones_and_tuples_are_described_too() -> None:
    description = describe(Odd, (3, 2, 2), 5, width=3)
    assert description.layers == (
        Layer(name="twice", type="Linear", output_shape=(3, 4), parameters=20, trainable=20),
        Layer(name="relu", type="ReLU", output_shape=(3, 4), parameters=0, trainable=0),
        Layer(name="recurrent", type="GRU", output_shape=None, parameters=81, trainable=81),
        Layer(name="frozen", type="Linear", output_shape=(5,), parameters=20, trainable=0),
        Layer(name="", type="Odd", output_shape=(5,), parameters=5, trainable=5),
        Layer(name="unused", type="Linear", output_shape=None, parameters=36, trainable=36),
    )
    assert description.architecture == "Odd"
    assert (description.parameters.total, description.parameters.trainable) == (162, 142)
    assert json.loads(json.dumps(asdict(description)))["layers"][2]["output_shape"] is None


def test_a_shared_parameter_counts_once_in_the_total_and_in_each_layer() -> None:
    description = describe(Tied, (1, 2, 6), 5)
    assert description.parameters.total == 30
    assert [layer.parameters for layer in description.layers] == [30, 30]
    assert description.multiply_adds == 60


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_name_and_class_give_the_same_description(name: str) -> None:
    model_class = architecture(name)
    assert describe(name, (3, 64, 64), 10) == describe(model_class, (3, 64, 64), 10)


def test_a_fixed_extractor_shows_that_its_head_alone_trains() -> None:
    description = describe("resnet18", (3, 32, 32), 10, trainable_blocks=0)
    trainable = {layer.name: layer.trainable for layer in description.layers if layer.trainable}
    assert trainable == {"classifier.fc1": 512 * 10 + 10}
    assert (description.parameters.total, description.parameters.trainable) == (11_181_642, 5_130)


def test_describing_leaves_the_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    describe("lenet", (3, 30, 30), 43, dropout=0.5, init="kaiming")
    describe("torchvision:regnet_x_400mf", (3, 32, 32), 10)  # cannot be built without memory
    assert torch.equal(torch.get_rng_state(), before)


def test_errors_come_through() -> None:
    with pytest.raises(UnknownArchitectureError):
        describe("lenet9", (3, 30, 30), 43)
    with pytest.raises(ValueError, match="at least 16 x 16"):
        describe("lenet", (3, 8, 8), 43)
