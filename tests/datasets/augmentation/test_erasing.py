from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from optrack.datasets.augmentation import Cutout
from optrack.datasets.augmentation.erasing import erase

Images = Callable[..., Tensor]
Numbers = Callable[[int, int], Tensor]


def rows(values: Tensor) -> list[list[float]]:
    return cast("list[list[float]]", values.tolist())


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 20), (3, 5, 9), (1, 1, 1)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_cutout_is_torchvisions_erase_of_what_lies_in_the_image(
    functional: Any, make_images: Images, numbers: Numbers, shape: tuple[int, int, int], dtype: torch.dtype
) -> None:
    images, drawn = make_images(40, *shape).to(dtype), numbers(40, 2)
    before = images.clone()
    _, height, width = shape
    result = erase(Cutout(size=0.5, fill=99), drawn, height, width)(images)
    side = round(0.5 * min(height, width))
    assert torch.equal(images, before)
    for image, (y, x), got in zip(images, rows(drawn), result, strict=True):
        first_row, first_column = int(y * height) - side // 2, int(x * width) - side // 2
        top, left = max(first_row, 0), max(first_column, 0)
        tall, wide = min(first_row + side, height) - top, min(first_column + side, width) - left
        expected = functional.erase(image, top, left, tall, wide, torch.tensor(99, dtype=dtype))
        assert torch.equal(got, expected)
