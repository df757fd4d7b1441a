"""From operations to changed images: draw for many images at once, fuse what can be fused, apply by the batch."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import torch
from torch import Tensor

from ...sources.errors import unknown
from ..errors import DataError
from .colour import Recolour, recolour
from .erasing import Erase, erase
from .geometry import Resample, resample
from .operations import Affine, ColourJitter, Crop, Cutout, Flip, Grayscale, Operation
from .presets import PRESETS

Step: TypeAlias = Resample | Recolour | Erase


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Operations, done one after the other with new random numbers for each image.

    Neighbours that move pixels and agree about the border are one reading of the image, neighbours that change colours
    one matrix. Values between them are neither rounded nor clamped.

    >>> augmentation = Augmentation(operations=(Crop(padding=2), Flip()))
    >>> images = torch.zeros(64, 1, 28, 28, dtype=torch.uint8)
    >>> augmentation(images, torch.Generator().manual_seed(0)).dtype
    torch.uint8
    """

    operations: tuple[Operation, ...] = ()

    def scaled(self, strength: float) -> "Augmentation":
        """Return it with all ranges and probabilities times strength, as far as each can go; 0 changes no image.

        Raises:
            DataError: the strength is below 0 or not a finite number.
        """
        if not 0 <= strength < float("inf"):
            raise DataError(f"the strength of an augmentation must be at least 0, but got {strength}")
        return Augmentation(operations=tuple(operation.scaled(strength) for operation in self.operations))

    def draw(self, count: int, height: int, width: int, generator: torch.Generator) -> tuple[Step, ...]:
        """Draw what is done to images, in order, in single precision.

        Always on the CPU, and image by image: the same bits for every device, number of threads and batch size, and
        for every strength the same random numbers. `draw(3, …)` and then `draw(2, …)` is `draw(5, …)`.
        """
        needed = [operation.numbers for operation in self.operations]
        numbers = torch.split(torch.rand(count, sum(needed), generator=generator).double(), needed, dim=1)
        steps = list[Step]()
        for operation, its_numbers in zip(self.operations, numbers, strict=True):
            if operation.idle:
                continue
            step = _step(operation, its_numbers, height, width)
            fused = steps[-1].then(step) if steps else None
            steps[-1:] = [fused] if fused else [*steps[-1:], step]
        return tuple(_with_tensors(step, _single) for step in steps)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Draw for images, and change them.

        Args:
            images: uint8 [B, C, H, W] on any device; not changed.
            generator: on the CPU.

        Returns:
            The same shape on the same device: uint8 after operations that only move or cover pixels (the images
            themselves if there is nothing to do), and otherwise float32 in 0 to 255, not rounded.
        """
        (height, width), device = images.shape[-2:], images.device
        for step in self.draw(len(images), height, width, generator):
            images = _with_tensors(step, lambda tensor: tensor.to(device))(images)
        return images


def preset(name: str, strength: float = 1.0) -> Augmentation:
    """Return a named augmentation.

    Args:
        name: one of `PRESETS`.
        strength: 0 leaves images as they are, 1 is as named, more is more.

    Raises:
        DataError: there is no augmentation of this name, or the strength is below 0.
    """
    if name not in PRESETS:
        raise DataError(unknown("augmentation", name, PRESETS))
    return Augmentation(operations=PRESETS[name]).scaled(strength)


def _step(operation: Operation, numbers: Tensor, height: int, width: int) -> Step:
    match operation:
        case Crop() | Flip() | Affine():
            return resample(operation, numbers, height, width)
        case ColourJitter() | Grayscale():
            return recolour(operation, numbers)
        case Cutout():
            return erase(operation, numbers, height, width)


def _with_tensors(step: Step, change: Callable[[Tensor], Tensor]) -> Step:
    values = {field.name: getattr(step, field.name) for field in fields(step)}
    return replace(step, **{name: change(value) for name, value in values.items() if isinstance(value, Tensor)})


def _single(tensor: Tensor) -> Tensor:
    """Convert to single precision; drawing and multiplying is done in double."""
    return tensor.float() if tensor.is_floating_point() else tensor
