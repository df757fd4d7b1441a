from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from optrack.datasets.augmentation import Affine, Augmentation, Border, Crop, Flip
from optrack.datasets.augmentation.geometry import resample

TORCHVISION = {"zeros": "constant", "edge": "edge", "symmetric": "symmetric"}
SIZES = [(3, 32, 32), (1, 28, 28), (3, 7, 12), (1, 5, 3), (3, 1, 1)]

Images = Callable[..., Tensor]
Numbers = Callable[[int, int], Tensor]
Single = Callable[[Any], Callable[[Tensor], Tensor]]


def rows(values: Tensor) -> list[list[float]]:
    return cast("list[list[float]]", values.tolist())


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("border", ["zeros", "edge", "symmetric"])
def test_a_crop_is_torchvisions_pad_and_crop(
    functional: Any, make_images: Images, numbers: Numbers, single: Single, shape: tuple[int, int, int], border: Border
) -> None:
    images, drawn, padding = make_images(40, *shape), numbers(40, 2), min(4, *shape[1:])
    corners = cast("list[list[int]]", (drawn * (2 * padding + 1)).long().tolist())
    result = single(resample(Crop(padding=padding, border=border), drawn, *shape[1:]))(images)
    assert result.dtype == torch.uint8
    for image, (x, y), got in zip(images, corners, result, strict=True):
        padded = functional.pad(image, padding, padding_mode=TORCHVISION[border])
        assert torch.equal(got, functional.crop(padded, y, x, *shape[1:]))


@pytest.mark.parametrize("shape", SIZES)
def test_a_flip_is_torchvisions(
    functional: Any, make_images: Images, numbers: Numbers, single: Single, shape: tuple[int, ...]
) -> None:
    images, drawn = make_images(40, *shape), numbers(40, 2)
    result = single(resample(Flip(horizontal=0.6, vertical=0.3), drawn, *shape[1:]))(images)
    for image, (x, y), got in zip(images, rows(drawn), result, strict=True):
        expected = functional.horizontal_flip(image) if x < 0.6 else image
        assert torch.equal(got, functional.vertical_flip(expected) if y < 0.3 else expected)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 17, 24)])
@pytest.mark.parametrize("border", ["zeros", "edge", "symmetric"])
def test_an_affine_is_torchvisions(
    functional: Any, make_images: Images, numbers: Numbers, single: Single, shape: tuple[int, int, int], border: Border
) -> None:
    images, drawn = make_images(20, *shape), numbers(20, 4)
    _, height, width = shape
    operation = Affine(degrees=(-30, 60), translation=0.2, scale=(0.8, 1.5), border=border)
    result = single(resample(operation, drawn, height, width))(images)
    # With so much of the border around that its own end is not seen.
    pad = min(shape[1:])
    for image, (angle, x, y, scale), got in zip(images, rows(drawn), result, strict=True):
        wide = functional.affine(
            functional.pad(image.float(), pad, padding_mode=TORCHVISION[border]),
            angle=-(-30 + 90 * angle),
            translate=[(-0.2 + 0.4 * x) * width, (-0.2 + 0.4 * y) * height],
            scale=0.8 + 0.7 * scale,
            shear=[0.0, 0.0],
            interpolation=functional.InterpolationMode.BILINEAR,
        )
        torch.testing.assert_close(got, functional.center_crop(wide, [height, width]), atol=0.02, rtol=0)


def test_a_rotation_is_counter_clockwise_as_torchvisions_rotate(
    functional: Any, make_images: Images, single: Single
) -> None:
    images = make_images(1, 3, 32, 32)
    (result,) = single(resample(Affine(degrees=(20, 20), border="zeros"), torch.zeros(1, 4).double(), 32, 32))(images)
    expected = functional.rotate(images[0].float(), 20, functional.InterpolationMode.BILINEAR)
    torch.testing.assert_close(result, expected, atol=0.02, rtol=0)


def test_fused_operations_are_those_one_after_the_other(make_images: Images, numbers: Numbers, single: Single) -> None:
    inner = make_images(16, 3, 20, 20)
    images = torch.nn.functional.pad(inner, [20] * 4)  # nothing gets lost beyond the border on the way
    steps = [
        resample(Flip(horizontal=0.5, vertical=0.5), numbers(16, 2), 60, 60),
        resample(Affine(degrees=(90, 90), translation=0.1, border="zeros"), torch.full((16, 4), 0.75).double(), 60, 60),
        resample(Crop(padding=4, border="zeros"), numbers(16, 2), 60, 60),
    ]
    separately = images
    for step in steps:
        separately = single(step)(separately)
    first = steps[0].then(steps[1])
    fused = first.then(steps[2]) if first else None
    assert fused is not None
    torch.testing.assert_close(single(fused)(images).float(), separately.float(), atol=0.05, rtol=0)


def test_an_image_is_read_once_where_borders_agree_and_else_in_turn() -> None:
    crop, flip, turn = Crop(border="edge"), Flip(), Affine(degrees=(0, 9), border="zeros")
    generator = torch.Generator()
    assert len(Augmentation(operations=(crop, flip, crop)).draw(2, 8, 8, generator)) == 1
    assert len(Augmentation(operations=(flip, turn, flip)).draw(2, 8, 8, generator)) == 1
    assert len(Augmentation(operations=(crop, flip, turn)).draw(2, 8, 8, generator)) == 2


def test_a_shift_is_a_share_of_each_side(make_images: Images, single: Single) -> None:
    images = make_images(1, 1, 10, 20)
    drawn = torch.tensor([[0.0, 1.0, 1.0, 0.0]]).double()
    result = single(resample(Affine(translation=0.5, border="zeros"), drawn, 10, 20))(images)
    torch.testing.assert_close(result[..., 5:, 10:], images[..., :5, :10].float(), atol=0.01, rtol=0)
    assert result[..., :5, :].max() < 0.01
    assert result[..., :10].max() < 0.01
