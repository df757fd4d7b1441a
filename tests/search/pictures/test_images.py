import io
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from optrack.architectures import ARCHITECTURES, architecture
from optrack.search.pictures.images import feature_maps, filters, misclassified, png
from optrack.search.pictures.layers import convolution_outputs, first_convolution, first_weights
from optrack.search.results.values import TestResult

CLASSES = ("cat", "dog")
CONVOLUTIONAL = [name for name in ARCHITECTURES if name not in {"logistic", "mlp"}]

Tests = Callable[..., TestResult]


def random_images(count: int, channels: int, size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, channels, size, size), dtype=np.uint8)


def normalise(images: Tensor) -> Tensor:
    return images.float() / 128 - 1


def built(name: str, channels: int = 3) -> tuple[nn.Module, int]:
    size = vars(architecture(name))["minimum_image_size"]
    torch.manual_seed(0)
    return architecture(name)((channels, size, size), 4), size


def holds(picture: Image.Image, image: NDArray[np.uint8], factor: int) -> bool:
    """Whether an image stands in a picture, each of its pixels as a square of so many."""
    pixels = np.broadcast_to(image.transpose(1, 2, 0), (*image.shape[1:], 3)).repeat(factor, 0).repeat(factor, 1)
    height, width, _ = pixels.shape
    whole = np.asarray(picture)
    starts = np.argwhere((whole == pixels[0, 0]).all(axis=2))
    return any(np.array_equal(whole[top : top + height, left : left + width], pixels) for top, left in starts)


def wrong(tested: Tests, confidences: Sequence[float]) -> TestResult:
    """A test in which every image was mistaken."""
    result = tested([0] * len(confidences), [1] * len(confidences), CLASSES)
    return replace(result, confidences=np.array(confidences, dtype=np.float32))


@pytest.mark.parametrize(("size", "factor"), [(8, 12), (28, 4), (32, 3), (100, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_mistaken_images_are_enlarged_by_a_whole_factor(tested: Tests, size: int, factor: int, channels: int) -> None:
    images = random_images(2, channels, size)
    picture = misclassified(images, wrong(tested, [0.9, 0.8]))
    assert all(holds(picture, image, factor) for image in images)


def test_only_mistakes_are_drawn_and_the_surest_ones_first(tested: Tests) -> None:
    images = random_images(4, 1, 28)
    result = tested([0, 0, 1, 1], [0, 1, 0, 0], CLASSES)  # confidences fall from image to image
    picture = misclassified(images, result, count=2)
    assert [holds(picture, image, 4) for image in images] == [False, True, True, False]
    assert holds(picture.crop((0, 0, picture.width // 2, picture.height)), images[1], 4)


@pytest.mark.parametrize(("mistakes", "columns", "rows"), [(1, 1, 1), (3, 3, 1), (5, 4, 2), (24, 4, 6), (30, 4, 6)])
def test_mistakes_stand_four_in_a_row_and_at_most_24(tested: Tests, mistakes: int, columns: int, rows: int) -> None:
    picture = misclassified(random_images(mistakes, 3, 28), wrong(tested, [0.5] * mistakes))
    # A cell is 168 wide and 112 + 6 + 3 * 18 high, with 12 between and 16 around.
    assert picture.size == (168 * columns + 12 * (columns - 1) + 32, 172 * rows + 12 * (rows - 1) + 32)


def test_large_images_are_made_small(tested: Tests) -> None:
    assert misclassified(random_images(24, 3, 224), wrong(tested, [0.5] * 24)).width == 740


def test_labels_and_confidence_stand_below_an_image(tested: Tests) -> None:
    images = random_images(1, 1, 28)

    def text_of(label: int, confidence: float) -> bytes:
        result = replace(wrong(tested, [confidence]), labels=np.array([label]), predictions=np.array([1 - label]))
        return misclassified(images, result).crop((0, 134, 200, 204)).tobytes()

    assert len({text_of(0, 0.9), text_of(1, 0.9), text_of(0, 0.8)}) == 3


def test_without_a_mistake_the_picture_says_so(tested: Tests) -> None:
    picture = misclassified(random_images(2, 1, 28), tested([0, 1], [0, 1], CLASSES))
    assert picture.height < 60
    assert np.asarray(picture).min() < 100


def test_filters_have_one_scale_before_and_after() -> None:
    before = torch.zeros(1, 3, 2, 2)
    after = torch.tensor([[[[1.0, -1.0], [0.5, 0.0]]]]).repeat(1, 3, 1, 1)
    picture = filters(before, after)
    levels = np.array([[[255, 0], [191, 128]]], dtype=np.uint8)
    assert holds(picture, levels, 28)
    assert holds(picture, np.full((1, 2, 2), 128, dtype=np.uint8), 28)


def test_filters_on_three_channels_are_coloured_and_others_show_their_first_one() -> None:
    red = torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1).repeat(1, 1, 2, 2)
    assert holds(
        filters(red, red), np.array([255, 0, 0], dtype=np.uint8).reshape(3, 1, 1).repeat(2, 1).repeat(2, 2), 28
    )
    many = torch.cat([red, -red], dim=1)
    assert holds(filters(many, many), np.full((1, 2, 2), 255, dtype=np.uint8), 28)


def test_of_many_filters_the_first_64_are_drawn() -> None:
    weights = torch.randn(200, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    assert filters(weights, weights).size == filters(weights[:64], weights[:64]).size
    assert filters(weights, weights).tobytes() != filters(weights, -weights).tobytes()


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_weights_of_nothing_or_of_no_number_are_drawn(value: float) -> None:
    assert filters(torch.zeros(4, 1, 3, 3), torch.full((4, 1, 3, 3), value)).width > 100


def test_weights_of_different_shapes_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^weights must have the same shape, but got \[2, 1, 3, 3\] and \[2, 1, 5, 5\]$"
    ):
        filters(torch.zeros(2, 1, 3, 3), torch.zeros(2, 1, 5, 5))


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_every_convolutional_architecture_shows_its_filters_and_feature_maps(name: str) -> None:
    model, size = built(name)
    weights = first_weights(model, (3, size, size))
    first = first_convolution(model)
    assert weights is not None
    assert first is not None
    assert weights.shape == first.weight.shape
    assert filters(weights, weights).width > 100
    model.train()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    picture = feature_maps(model, random_images(1, 3, size)[0], normalise)
    assert picture is not None
    assert 200 < picture.width < 1000
    assert model.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize(("name", "shape"), [("logistic", (4, 3, 9, 7)), ("mlp", (256, 3, 9, 7))])
def test_linear_models_show_their_weights_as_images_and_have_no_feature_maps(name: str, shape: tuple[int, ...]) -> None:
    model = architecture(name)((3, 9, 7), 4)
    weights = first_weights(model, (3, 9, 7))
    assert weights is not None
    assert weights.shape == shape
    assert filters(weights, weights).width > 100
    assert first_convolution(model) is None
    assert feature_maps(model, np.zeros((3, 9, 7), dtype=np.uint8), normalise) is None


def test_first_weights_are_a_copy_that_training_does_not_change() -> None:
    model, size = built("lenet")
    before = first_weights(model, (3, size, size))
    layer = first_convolution(model)
    assert before is not None
    assert layer is not None
    with torch.no_grad():
        layer.weight.add_(1.0)
    after = first_weights(model, (3, size, size))
    assert after is not None
    torch.testing.assert_close(after, before + 1.0)


def test_a_network_whose_linear_layer_sees_no_pixels_has_no_first_weights() -> None:
    assert first_weights(nn.Sequential(nn.Flatten(), nn.Linear(5, 2)), (3, 9, 7)) is None


def test_maps_are_those_of_the_first_and_the_last_convolution_that_see_more_than_a_point() -> None:
    layers = [nn.Conv2d(1, 2, 3), nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 5, 1)]
    outputs = convolution_outputs(nn.Sequential(*layers), torch.zeros(1, 8, 8, dtype=torch.uint8), normalise)
    assert {name: tuple(output.shape) for name, output in outputs.items()} == {"0": (2, 6, 6), "1": (3, 4, 4)}


def test_feature_maps_show_the_image_and_what_the_convolution_makes_of_it() -> None:
    convolution = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(convolution.weight, -1.0)
    image = random_images(1, 1, 8)[0]
    image[0, 0, 0], image[0, 7, 7] = 0, 255
    picture = feature_maps(nn.Sequential(convolution), image, lambda images: images.float())
    assert picture is not None
    assert holds(picture, image, 12)
    assert holds(picture, 255 - image, 7)


def test_feature_maps_change_with_the_image() -> None:
    model, size = built("lenet", channels=1)
    one, other = (feature_maps(model, image, normalise) for image in random_images(2, 1, size))
    assert one is not None
    assert other is not None
    assert one.size == other.size
    # The image stands on the left, the maps on the right.
    assert one.crop((150, 0, *one.size)).tobytes() != other.crop((150, 0, *other.size)).tobytes()


def test_hooks_are_taken_off_where_a_network_fails() -> None:
    model, size = built("lenet")
    with pytest.raises(RuntimeError):
        feature_maps(model, random_images(1, 1, size)[0], normalise)
    layer = first_convolution(model)
    assert layer is not None
    assert not vars(layer)["_forward_hooks"]


def test_a_png_file_holds_the_same_pixels() -> None:
    picture = filters(torch.zeros(2, 1, 3, 3), torch.ones(2, 1, 3, 3))
    assert Image.open(io.BytesIO(png(picture))).convert("RGB").tobytes() == picture.tobytes()
