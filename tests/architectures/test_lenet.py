"""LeNet."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from optrack.architectures.lenet import LeNet, LeNetFCN, minimum_size, size_after


def by_hand(images: Tensor, parameters: list[Tensor]) -> Tensor:
    """Compute LeNet without batch norm and dropout from the definition."""
    weight_1, bias_1, weight_2, bias_2, *linear = parameters
    features = functional.max_pool2d(functional.conv2d(images, weight_1, bias_1).relu(), 2)
    features = functional.max_pool2d(functional.conv2d(features, weight_2, bias_2).relu(), 2)
    hidden = features.flatten(1)
    hidden = (hidden @ linear[0].T + linear[1]).relu()
    hidden = (hidden @ linear[2].T + linear[3]).relu()
    return hidden @ linear[4].T + linear[5]


def test_it_computes_what_the_definition_says() -> None:
    model = LeNet((3, 30, 34), 43)
    images = torch.randn(2, 3, 30, 34)
    torch.testing.assert_close(model(images), by_hand(images, list(model.parameters())))


def test_batch_norm_and_dropout_stand_behind_both_hidden_linear_layers_alone() -> None:
    model = LeNet((3, 30, 30), 43, batch_norm=True, bn_momentum=0.3, dropout=0.25)
    assert [name for name, _ in model.features.named_children()] == [
        *("conv1", "pool1", "relu1"),
        *("conv2", "pool2", "relu2"),
    ]
    assert [name for name, _ in model.classifier.named_children()] == [
        *("flatten", "fc1", "bn1", "relu1", "dropout1"),
        *("fc2", "bn2", "relu2", "dropout2"),
        "fc3",
    ]
    batch_norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
    dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    assert [(module.num_features, module.momentum) for module in batch_norms] == [(120, 0.3), (84, 0.3)]
    assert [module.p for module in dropouts] == [0.25, 0.25]


def test_a_small_image_is_refused_with_the_smallest_that_will_do() -> None:
    with pytest.raises(ValueError, match=r"^lenet needs images of at least 16 x 16 pixels, but got 8 x 8$"):
        LeNet((3, 8, 8), 10)
    with pytest.raises(ValueError, match=r"but got 32 x 15$"):
        LeNet((3, 32, 15), 10)


def test_larger_kernels_need_larger_images_and_the_message_says_why() -> None:
    message = (
        r"^lenet needs images of at least 22 x 22 pixels with kernel_size_1=7 and kernel_size_2=7, but got 16 x 16$"
    )
    with pytest.raises(ValueError, match=message):
        LeNet((3, 16, 16), 10, kernel_size_1=7, kernel_size_2=7)
    assert LeNet((1, 10, 10), 10, kernel_size_1=3, kernel_size_2=3)(torch.zeros(1, 1, 10, 10)).shape == (1, 10)


@given(kernel_sizes=st.lists(st.integers(1, 11), min_size=1, max_size=4))
def test_the_smallest_image_leaves_one_pixel_and_a_smaller_one_none(kernel_sizes: list[int]) -> None:
    smallest = minimum_size(*kernel_sizes)
    assert size_after(smallest, *kernel_sizes) == 1
    assert size_after(smallest - 1, *kernel_sizes) < 1


def test_batch_norm_of_the_convolutions_stands_between_pool_and_relu() -> None:
    model = LeNet((3, 32, 32), 10, conv_batch_norm=True, bn_momentum=0.3)
    assert [name for name, _ in model.features.named_children()] == [
        *("conv1", "pool1", "bn1", "relu1"),
        *("conv2", "pool2", "bn2", "relu2"),
    ]
    assert {module.momentum for module in model.modules() if isinstance(module, nn.BatchNorm2d)} == {0.3}
    assert [name for name, _ in model.classifier.named_children()] == ["flatten", "fc1", "relu1", "fc2", "relu2", "fc3"]


@pytest.mark.parametrize(("height", "width"), [(30, 30), (16, 45)])
def test_fully_convolutional_it_computes_what_lenet_with_the_same_weights_does(height: int, width: int) -> None:
    lenet = LeNet((3, height, width), 43, batch_norm=True, dropout=0.5).eval()
    convolutional = LeNetFCN((3, height, width), 43, dropout=0.5).eval()
    own = convolutional.state_dict()
    convolutional.load_state_dict(
        {
            key: weight.reshape(own[key].shape)
            for key, weight in zip(own, lenet.state_dict().values(), strict=True)  # the same layers in the same order
        }
    )
    images = torch.randn(2, 3, height, width)
    torch.testing.assert_close(convolutional(images), lenet(images))


def test_fully_convolutional_it_takes_larger_images_and_gives_the_mean_over_positions() -> None:
    model = LeNetFCN((3, 30, 30), 10).eval()
    images = torch.randn(2, 3, 34, 30)
    both = torch.stack([model(images[:, :, :30]), model(images[:, :, 4:])])  # four pixels are a step of the feature map
    torch.testing.assert_close(model(images), both.mean(0))
