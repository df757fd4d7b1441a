"""The networks of the hand-tuned references: their layers, in their order."""

import pytest
import torch
from torch import nn

from optrack.architectures.cnn4 import CNN4, size_after
from optrack.architectures.convnet import ConvNet
from optrack.architectures.convnet_deep import ConvNetDeep
from optrack.architectures.convnet_wide import ConvNetWide
from optrack.architectures.lenet3 import LeNet3


def layers(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_children()]


def filters(model: nn.Module) -> list[int]:
    return [module.out_channels for module in model.modules() if isinstance(module, nn.Conv2d)]


def test_lenet3_doubles_its_filters() -> None:
    model = LeNet3((3, 32, 32), 10)
    assert filters(model) == [32, 64, 128]
    assert layers(model.features) == [f"{kind}{number}" for number in (1, 2, 3) for kind in ("conv", "pool", "relu")]
    assert layers(model.classifier) == ["flatten", "fc1", "relu1", "fc2"]


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("side", [8, 15, 31])
def test_lenet3_takes_any_kernel(kernel_size: int, side: int) -> None:
    model = LeNet3((1, side, side + 1), 10, filters=2, kernel_size=kernel_size)
    assert model(torch.zeros(2, 1, side, side + 1)).shape == (2, 10)


def test_cnn4_has_the_sizes_of_its_layer_table() -> None:
    model = CNN4((3, 64, 64), 10, filters_1=2, filters_2=3, filters_3=4, filters_4=5, dropout=0.2)
    sides: list[int] = []
    images = torch.zeros(1, 3, 64, 64)
    for name, layer in model.eval().features.named_children():
        images = layer(images)
        if name.startswith(("conv", "pool")):
            sides.append(images.shape[-1])
    assert sides == [62, 30, 28, 13, 11, 5, 3, 1]
    assert layers(model.features)[:5] == ["conv1", "bn1", "pool1", "relu1", "conv2"]
    assert layers(model.classifier) == ["flatten", "fc1", "relu1", "dropout1", "fc2", "relu2", "dropout2", "fc3"]


@pytest.mark.parametrize("side", [61, 62, 76, 77, 100, 224])
def test_cnn4_knows_what_its_pools_leave(side: int) -> None:
    with torch.device("meta"):
        model = CNN4((1, side, 61), 2, filters_1=1, filters_2=1, filters_3=1, filters_4=1, head_depth=0)
        assert model.features.eval()(torch.empty(1, 1, side, 61)).shape == (1, 1, size_after(side), 1)


def test_convnet_has_as_many_blocks_as_asked_for() -> None:
    model = ConvNet((3, 32, 32), 10, depth=3, filters_1=4, filters_2=6, batch_norm=True, dropout=0.1)
    assert filters(model) == [4, 6, 6]
    assert layers(model.features)[:6] == ["conv1", "bn1", "pool1", "relu1", "dropout1", "conv2"]
    assert layers(model.classifier) == ["flatten", "fc1"]


def test_a_deeper_convnet_needs_larger_images_and_says_why() -> None:
    with pytest.raises(
        ValueError, match=r"^convnet needs images of at least 64 x 64 pixels with depth=6, but got 32 x 32"
    ):
        ConvNet((3, 32, 32), 10, depth=6)


def test_convnet_wide_doubles_its_filters_at_each_convolution() -> None:
    model = ConvNetWide((3, 32, 32), 10)
    assert filters(model) == [32, 64, 128, 256]
    assert layers(model.features)[:7] == ["conv1", "relu1", "bn1", "conv2", "relu2", "bn2", "pool1"]
    assert layers(model.classifier) == ["flatten", "fc1", "relu1", "fc2"]


def test_convnet_deep_doubles_its_filters_at_each_block_and_drops_channels() -> None:
    model = ConvNetDeep((3, 32, 32), 10, dropout=0.25)
    assert filters(model) == [32, 32, 64, 64, 128, 128]
    assert layers(model.features)[:8] == ["conv1", "relu1", "bn1", "conv2", "relu2", "dropout1", "bn2", "pool1"]
    assert layers(model.classifier) == ["flatten", "fc1", "relu1", "bn1", "fc2"]
    assert sum(isinstance(module, nn.Dropout2d) for module in model.modules()) == 3
