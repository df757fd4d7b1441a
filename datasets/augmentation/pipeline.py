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
class Parameters:
    """What was drawn for each of a number of images of one size.

    Args:
        steps: in the order in which they are applied.
        count: images.
        height: of the images, in pixels.
        width: likewise.
    """

    steps: tuple[Step, ...]
    count: int
    height: int
    width: int

    def __call__(self, images: Tensor) -> Tensor:
        """Change images.

        Args:
            images: uint8 [count, C, height, width], on the device where the parameters are; not changed.

        Returns:
            The same shape on the same device: uint8 after operations that only move or cover pixels (the images
            themselves if there is nothing to do), and otherwise float32 in 0 to 255, not rounded.
        """
        expected, got = (self.count, self.height, self.width), (len(images), *images.shape[-2:])
        if expected != got:
            raise ValueError(f"parameters for {expected} images, height and width cannot be used for {got}")
        for step in self.steps:
            images = step(images)
        return images

    def __getitem__(self, images: slice | Tensor) -> "Parameters":
        """Return those of some images, by slice or int64 positions."""
        count = len(range(*images.indices(self.count))) if isinstance(images, slice) else len(images)
        steps = tuple(_with_tensors(step, lambda tensor: tensor[images]) for step in self.steps)
        return replace(self, steps=steps, count=count)

    def to(self, device: torch.device | str) -> "Parameters":
        """Return the same on a device."""
        return replace(self, steps=tuple(_with_tensors(step, lambda tensor: tensor.to(device)) for step in self.steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Operations, done one after the other with new random numbers for each image.

    Neighbours that move pixels and agree about the border are one reading of the image, neighbours that change colours
    one matrix. Values between them are neither rounded nor clamped.

    >>> augmentation = Augmentation(operations=(Crop(padding=2), Flip()))
    >>> parameters = augmentation.draw(1000, 28, 28, torch.Generator().manual_seed(0))
    >>> images = torch.zeros(64, 1, 28, 28, dtype=torch.uint8)
    >>> parameters[64:128](images).dtype
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

    def draw(self, count: int, height: int, width: int, generator: torch.Generator) -> Parameters:
        """Draw for images that are not there yet, for example for a whole epoch at once.

        Always on the CPU, and image by image: the same bits for every device, number of threads and batch size, and
        for every strength the same random numbers. `draw(3, …)` and then `draw(2, …)` is `draw(5, …)`.

        Args:
            count: images.
            height: of the images, in pixels.
            width: likewise.
            generator: on the CPU.
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
        singles = tuple(_with_tensors(step, _single) for step in steps)
        return Parameters(steps=singles, count=count, height=height, width=width)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Draw for images, and change them.

        Args:
            images: uint8 [B, C, H, W] on any device; not changed.
            generator: on the CPU.

        Returns:
            See `Parameters`.
        """
        height, width = images.shape[-2:]
        return self.draw(len(images), height, width, generator).to(images.device)(images)


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
