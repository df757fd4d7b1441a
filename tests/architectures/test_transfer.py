"""Networks from libraries behind a new head."""

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest
import torch
from torch import Tensor, nn

from optrack.architectures import PretrainedWeightsError, architecture
from optrack.architectures.transfer import Backbone, Transferable, TransferModel, feature_blocks, transfer_class


class Tiny(nn.Module):
    """Three convolutions, the last two in a container, and a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, 1, 1))
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4, momentum=0.02)
        self.blocks = nn.Sequential(
            nn.Sequential(nn.Conv2d(4, 5, 3, padding=1), nn.BatchNorm2d(5), nn.Dropout(0.5), nn.ReLU()),
            nn.Conv2d(5, 6, 3, padding=1),
            nn.BatchNorm2d(6),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.pool(self.blocks(self.norm(self.stem(images * self.scale))))
        return features


def fill_with_ones(network: nn.Module) -> None:
    for parameter in network.parameters():
        nn.init.ones_(parameter)


def tiny(load: Callable[[nn.Module], None] = fill_with_ones, *, fixed_image_size: bool = False) -> type[TransferModel]:
    return transfer_class(
        Backbone(
            name="tiny",
            source="this test.",
            minimum_image_size=4,
            fixed_image_size=fixed_image_size,
            head_depth=0,
            build=lambda _pretrained: Tiny(),
            load=load,
        )
    )


def build(**hyperparameters: Any) -> TransferModel:
    torch.manual_seed(0)
    return tiny()((3, 8, 8), 2, **hyperparameters)


def images(channels: int = 3) -> Tensor:
    return torch.randn(4, channels, 8, 8, generator=torch.Generator().manual_seed(1))


def test_a_block_starts_with_each_child_that_holds_a_kernel() -> None:
    types = [[type(module).__name__ for module in block] for block in feature_blocks(Tiny())]
    assert types == [["Conv2d", "BatchNorm2d"], ["Sequential"], ["Conv2d", "BatchNorm2d", "AdaptiveAvgPool2d"]]


def test_the_signature_says_how_many_blocks_there_are_and_what_the_batch_norms_come_with() -> None:
    parameters = inspect.signature(tiny().__init__).parameters
    hints = get_type_hints(tiny().__init__, include_extras=True)
    low, high = hints["trainable_blocks"].__metadata__
    assert (low.ge, high.le, parameters["trainable_blocks"].default) == (0, 3, 3)
    assert parameters["bn_momentum"].default == 0.02


@pytest.mark.parametrize("count", [-1, 4])
def test_more_blocks_than_there_are_cannot_train(count: int) -> None:
    with pytest.raises(ValueError, match=rf"^trainable_blocks must lie in \[0, 3\] for tiny, but got {count}$"):
        build(trainable_blocks=count)


@pytest.mark.parametrize(
    ("count", "trainable"),
    [
        (0, set[str]()),
        (1, {"blocks.1.weight", "blocks.1.bias", "blocks.2.weight", "blocks.2.bias"}),
        (3, {name for name, _ in Tiny().named_parameters()}),  # with those that are in no block
    ],
)
def test_the_last_blocks_train_and_the_head_always(count: int, trainable: set[str]) -> None:
    model = build(trainable_blocks=count, pretrained=True)
    assert {name for name, parameter in model.features.named_parameters() if parameter.requires_grad} == trainable
    assert all(parameter.requires_grad for parameter in model.classifier.parameters())
    found = {id(parameter) for parameter in model.feature_parameters()}
    assert found == {id(parameter) for name, parameter in model.features.named_parameters() if name in trainable}


def test_features_with_random_weights_are_no_pretrained_ones() -> None:
    assert build().feature_parameters() == []


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_training_moves_the_statistics_of_the_blocks_that_train_and_of_no_other(count: int) -> None:
    model = build(trainable_blocks=count).train()
    norms = [module for module in model.features.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms if norm.running_mean is not None]
    model(images())
    moved = [not torch.equal(norm.running_mean, mean) for norm, mean in zip(norms, before, strict=True)]  # type: ignore[arg-type]
    assert moved == [number >= 3 - count for number in range(3)]
    assert [norm.training for norm in norms] == moved


def test_fixed_blocks_stay_in_inference_however_often_training_is_switched() -> None:
    model = build(trainable_blocks=1)
    for mode in (True, False, True):
        assert model.train(mode) is model
    dropouts = [module.training for module in model.features.modules() if isinstance(module, nn.Dropout)]
    assert dropouts == [False]
    assert model.training
    assert model.classifier.training
    assert not build(trainable_blocks=0).features.training


def test_the_momentum_is_that_of_all_its_batch_norms() -> None:
    model = build(bn_momentum=0.3)
    assert {module.momentum for module in model.modules() if isinstance(module, nn.BatchNorm2d)} == {0.3}


def test_a_grey_image_counts_as_a_coloured_one_of_three_equal_channels() -> None:
    grey = images(channels=1)
    model = tiny()((1, 8, 8), 2).eval()
    torch.testing.assert_close(model(grey), model(grey.repeat(1, 3, 1, 1)))


def test_the_head_is_as_deep_and_wide_as_asked_for() -> None:
    names = [name for name, _ in build(head_depth=2, head_width=8, dropout=0.5).classifier.named_children()]
    assert names == ["flatten", "fc1", "relu1", "dropout1", "fc2", "relu2", "dropout2", "fc3"]
    assert [name for name, _ in build(dropout=0.5).classifier.named_children()] == ["flatten", "dropout", "fc1"]


def test_other_numbers_of_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^tiny needs images of 1 or 3 channels, but got 4$"):
        tiny()((4, 8, 8), 2)


def test_where_there_is_one_size_alone_all_others_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^tiny needs images of 4 x 4 pixels, but got 4 x 8$"):
        tiny(fixed_image_size=True)((3, 4, 8), 2)
    assert tiny(fixed_image_size=True)((3, 4, 4), 2)(torch.zeros(2, 3, 4, 4)).shape == (2, 2)


def test_pretrained_weights_are_loaded_when_asked_for_and_not_before() -> None:
    model = build(pretrained=True)
    assert not all((parameter == 1).all() for parameter in model.features.parameters())
    head = model.classifier.state_dict()
    model.load_pretrained()
    assert all((parameter == 1).all() for parameter in model.features.parameters())
    assert all(torch.equal(value, head[key]) for key, value in model.classifier.state_dict().items())


def test_without_pretrained_nothing_is_loaded() -> None:
    def fail(network: nn.Module) -> None:
        raise PretrainedWeightsError("not to be called")

    tiny(fail)((3, 8, 8), 2).load_pretrained()
    with pytest.raises(PretrainedWeightsError):
        tiny(fail)((3, 8, 8), 2, pretrained=True).load_pretrained()


def test_training_can_tell_which_architectures_can_start_from_pretrained_weights() -> None:
    assert isinstance(build(), Transferable)
    assert not isinstance(architecture("lenet")((3, 32, 32), 10), Transferable)
