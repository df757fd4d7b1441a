import colorsys
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from optrack.datasets.augmentation import ColourJitter, Grayscale
from optrack.datasets.augmentation.colour import Recolour, recolour

# torchvision's luma weights are rounded to 0.2989, 0.587 and 0.114, which sum to 0.9999.
LUMA_TOLERANCE = 0.06

Images = Callable[..., Tensor]
Numbers = Callable[[int, int], Tensor]
Single = Callable[[Any], Callable[[Tensor], Tensor]]


def rows(values: Tensor) -> list[list[float]]:
    return cast("list[list[float]]", values.tolist())


def all_colours(levels: int) -> Tensor:
    """Float32 [1, 3, levels, levels²] in 0 to 255."""
    level = torch.linspace(0, 255, levels)
    return torch.stack(torch.meshgrid(level, level, level, indexing="ij")).view(1, 3, levels, -1)


def test_brightness_is_torchvisions(functional: Any, make_images: Images, numbers: Numbers, single: Single) -> None:
    images, drawn = make_images(20, 3, 8, 9), numbers(20, 4)
    result = single(recolour(ColourJitter(brightness=0.6), drawn))(images)
    for image, its, got in zip(images, rows(drawn), result, strict=True):
        expected = functional.adjust_brightness(image.float() / 255, 0.4 + 1.2 * its[0]) * 255
        torch.testing.assert_close(got, expected, atol=0.001, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_contrast_is_torchvisions(
    functional: Any, make_images: Images, numbers: Numbers, single: Single, channels: int
) -> None:
    images, drawn = make_images(20, channels, 8, 9), numbers(20, 4)
    result = single(recolour(ColourJitter(contrast=0.6), drawn))(images)
    for image, its, got in zip(images, rows(drawn), result, strict=True):
        expected = functional.adjust_contrast(image.float() / 255, 0.4 + 1.2 * its[1]) * 255
        torch.testing.assert_close(got, expected, atol=LUMA_TOLERANCE, rtol=0)


def test_saturation_is_torchvisions(functional: Any, make_images: Images, numbers: Numbers, single: Single) -> None:
    images, drawn = make_images(20, 3, 8, 9), numbers(20, 4)
    result = single(recolour(ColourJitter(saturation=0.6), drawn))(images)
    for image, its, got in zip(images, rows(drawn), result, strict=True):
        expected = functional.adjust_saturation(image.float() / 255, 0.4 + 1.2 * its[2]) * 255
        torch.testing.assert_close(got, expected, atol=LUMA_TOLERANCE, rtol=0)


@pytest.mark.parametrize("turn", [-0.1, -0.05, -0.02, 0.01, 0.03, 0.05, 0.1])
def test_a_small_turn_of_the_colours_changes_channels_nearly_as_hsv(
    functional: Any, single: Single, turn: float
) -> None:
    colours = all_colours(33)
    result = single(recolour(ColourJitter(colour_turn=abs(turn)), turn_number(turn)))(colours)
    expected = functional.adjust_hue(colours / 255, turn) * 255
    chroma = colours.amax(1, keepdim=True) - colours.amin(1, keepdim=True)
    assert ((result - expected).abs() <= 3.63 * abs(turn) * chroma + 0.01).all()


@pytest.mark.parametrize("turn", [-0.5, -0.2, -0.05, 0.05, 0.3, 0.4])
def test_hues_turn_as_in_hsv_where_nothing_is_clamped(single: Single, turn: float) -> None:
    colours = all_colours(9)
    result = single(recolour(ColourJitter(colour_turn=abs(turn)), turn_number(turn)))(colours)
    compared = 0
    for before, after in zip(rows(colours.flatten(2)[0].T), rows(result.flatten(2)[0].T), strict=True):
        if max(before) > min(before) and min(after) > 0 and max(after) < 255:
            turned = colorsys.rgb_to_hsv(*after)[0] - colorsys.rgb_to_hsv(*before)[0]
            assert abs((turned - turn + 0.5) % 1 - 0.5) < 0.0063
            compared += 1
    assert compared > 200


def turn_number(turn: float) -> Tensor:
    """Random numbers that turn a jitter's colours all the way up or down."""
    return torch.tensor([[0, 0, 0, float(turn > 0)]]).double()


def test_a_third_of_a_turn_is_that_of_hsv(functional: Any, single: Single) -> None:
    colours = all_colours(33)
    result = single(recolour(ColourJitter(colour_turn=1 / 3), turn_number(1)))(colours)
    torch.testing.assert_close(result, functional.adjust_hue(colours / 255, 1 / 3) * 255, atol=0.1, rtol=0)


def test_values_are_clamped_once_at_the_end_and_torchvisions_after_each_operation(
    functional: Any, single: Single
) -> None:
    level = torch.full((1, 3, 4, 4), 200, dtype=torch.uint8)
    level[..., :2] = 0
    jitter = ColourJitter(brightness=0.5, contrast=0.5)
    drawn = torch.tensor([[1.0, 0, 0, 0]]).double()  # brightness 1.5, contrast 0.5: 300 and 0, whose mean is 150
    (result,) = single(recolour(jitter, drawn))(level)
    assert torch.allclose(result[:, 0, [0, 3]], torch.tensor([75.0, 225.0]))
    bright = functional.adjust_brightness(level[0].float() / 255, 1.5)
    theirs = functional.adjust_contrast(bright, 0.5) * 255
    assert torch.allclose(theirs[:, 0, [0, 3]], torch.tensor([63.75, 191.25]), atol=LUMA_TOLERANCE)


def test_without_clamping_a_jitter_is_torchvisions_in_turn(
    functional: Any, make_images: Images, numbers: Numbers, single: Single
) -> None:
    images, drawn = make_images(20, 3, 8, 9, low=100, high=150), numbers(20, 4)
    result = single(recolour(ColourJitter(brightness=0.2, contrast=0.2, saturation=0.2), drawn))(images)
    for image, factors, got in zip(images, rows(0.8 + 0.4 * drawn), result, strict=True):
        expected = functional.adjust_brightness(image.float() / 255, factors[0])
        expected = functional.adjust_contrast(expected, factors[1])
        expected = functional.adjust_saturation(expected, factors[2]) * 255
        torch.testing.assert_close(got, expected, atol=LUMA_TOLERANCE, rtol=0)


def test_grayscale_is_torchvisions(functional: Any, make_images: Images, numbers: Numbers, single: Single) -> None:
    images, drawn = make_images(40, 3, 8, 9), numbers(40, 1)
    result = single(recolour(Grayscale(probability=0.4), drawn))(images)
    for image, (number,), got in zip(images, rows(drawn), result, strict=True):
        expected = functional.rgb_to_grayscale(image.float(), num_output_channels=3) if number < 0.4 else image.float()
        torch.testing.assert_close(got, expected, atol=LUMA_TOLERANCE, rtol=0)


def test_greyscale_images_have_no_saturation_and_do_not_turn(
    make_images: Images, numbers: Numbers, single: Single
) -> None:
    images = make_images(20, 1, 8, 9)
    assert torch.equal(
        single(recolour(ColourJitter(saturation=0.9, colour_turn=0.5), numbers(20, 4)))(images), images.float()
    )
    assert torch.equal(single(recolour(Grayscale(probability=1), numbers(20, 1)))(images), images.float())


@pytest.mark.parametrize("channels", [1, 3])
def test_fused_operations_are_those_one_after_the_other(
    make_images: Images, numbers: Numbers, single: Single, channels: int
) -> None:
    images = make_images(20, channels, 8, 9, low=110, high=140)
    steps: list[Recolour] = [
        recolour(ColourJitter(brightness=0.2, contrast=0.2, saturation=0.2, colour_turn=0.1), numbers(20, 4)),
        recolour(Grayscale(probability=0.3), numbers(20, 1)),
        recolour(ColourJitter(brightness=0.2, contrast=0.2, saturation=0.2, colour_turn=0.1), 1 - numbers(20, 4)),
    ]
    separately, fused = single(steps[0])(images), steps[0]
    for step in steps[1:]:
        separately, both = single(step)(separately), fused.then(step)
        assert both is not None
        fused = both
    torch.testing.assert_close(single(fused)(images), separately, atol=0.001, rtol=0)
