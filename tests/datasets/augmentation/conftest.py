"""Images, random numbers, and torchvision's functions on single images as what ours is compared with."""

from collections.abc import Callable
from dataclasses import fields, replace
from pkgutil import resolve_name
from typing import Any

import pytest
import torch
from torch import Tensor

from optrack.sources import torchvision_compat


@pytest.fixture(scope="session")
def functional() -> Any:
    assert torchvision_compat  # it is what makes torchvision importable
    return resolve_name("torchvision.transforms.v2.functional")


@pytest.fixture
def make_images() -> Callable[..., Tensor]:
    """`make_images(8, 3, 32, 32)`: uint8, every level from `low` up to below `high`."""

    def make(count: int, channels: int, height: int, width: int, *, low: int = 0, high: int = 256) -> Tensor:
        generator = torch.Generator().manual_seed(count + channels + height + width)
        return torch.randint(low, high, (count, channels, height, width), dtype=torch.uint8, generator=generator)

    return make


@pytest.fixture
def numbers() -> Callable[[int, int], Tensor]:
    """`numbers(8, 2)`: float64 [8, 2] in [0, 1), as operations get them."""
    return lambda count, each: torch.rand(count, each, generator=torch.Generator().manual_seed(0)).double()


@pytest.fixture
def single() -> Callable[[Any], Callable[[Tensor], Tensor]]:
    """`single(step)(images)`: a step that was just drawn, and is in double precision, as it is applied."""

    def convert(step: Any) -> Any:
        tensors = ((field.name, getattr(step, field.name)) for field in fields(step))
        return replace(step, **{name: value.float() for name, value in tensors if isinstance(value, Tensor)})

    return convert
