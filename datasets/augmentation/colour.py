"""Brightness, contrast, saturation, turn and loss of colours: one 3 x 3 matrix and one offset per image.

Each of them is linear in the pixel and in the mean colour of its image (contrast is about the mean's luma), so any
sequence of them is too. Two things differ from torchvision, whose meaning the parameters have otherwise:

- Values are clamped to 0 to 255 once, at the end, and never rounded; torchvision does both after each operation.
- Colours turn about the grey axis (Haeberli 1993, "Matrix operations for image processing"), which keeps the mean of
  the channels, where a turn of HSV's hue keeps the largest and the smallest, and is no matrix. The hue comes out as
  HSV's to within 0.0063 of a full turn unless a channel is clamped; for a turn h of up to 0.1 either way, clamped or
  not, no channel differs from HSV's by more than 3.63 |h| (max - min) over the colour's channels, where a channel moves
  by up to 6 |h| (max - min). Turning at equal luma, in YIQ, is twice as far from HSV.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .operations import ColourJitter, Grayscale

# ITU-R BT.601, as in torchvision.
_LUMA_WEIGHTS = (0.299, 0.587, 0.114)
_EYE = torch.eye(3, dtype=torch.float64)
_LUMA = torch.tensor([_LUMA_WEIGHTS] * 3, dtype=torch.float64)
_MEAN = torch.full((3, 3), 1 / 3, dtype=torch.float64)
# Turns what is at right angles to the grey axis by a quarter, red towards yellow.
_QUARTER = torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], dtype=torch.float64).div(math.sqrt(3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recolour:
    """Change the colours of images.

    Args:
        matrices: [B, 3, 3], what colours are multiplied by; grey stays grey.
        gains: [B], what greyscale images are multiplied by instead: the sum of each row of the matrix.
        offsets: [B, 3], what an image's mean colour is multiplied by for the number that is added to all channels.
        mixes: some matrix does more than multiply by its gain.
        adds: some offset is not 0.
    """

    matrices: Tensor
    gains: Tensor
    offsets: Tensor
    mixes: bool
    adds: bool

    def __call__(self, images: Tensor) -> Tensor:
        """Change images, uint8 or float32 [B, 1 or 3, H, W], to float32 in 0 to 255."""
        images = images.float()
        coloured = images.shape[1] == len(_LUMA_WEIGHTS)
        result = _mixed(images, self.matrices) if self.mixes and coloured else images * _per_image(self.gains)
        if self.adds:
            # In two steps: a sum over a whole image may be split among threads, and then depends on their number.
            means = images.mean(3).mean(2)
            result += _per_image((self.offsets * means).sum(1))
        return result.clamp_(0, 255)

    def then(self, following: object) -> "Recolour | None":
        """Combine this and a following change of colours into one, or return None for another kind of step."""
        if not isinstance(following, Recolour):
            return None
        added = following.gains + following.offsets.sum(1)
        return Recolour(
            matrices=following.matrices @ self.matrices,
            gains=following.gains * self.gains,
            offsets=added[:, None] * self.offsets + (following.offsets[:, None] @ self.matrices)[:, 0],
            mixes=self.mixes or following.mixes,
            adds=self.adds or following.adds,
        )


def recolour(operation: ColourJitter | Grayscale, numbers: Tensor) -> Recolour:
    """Return the change of colours for numbers, float64 [B, n] in [0, 1); a jitter's parts apply in order."""
    one, zero = torch.ones_like(numbers[:, 0]), torch.zeros_like(numbers[:, 0])
    match operation:
        case ColourJitter():
            brightness = _factor(operation.brightness, numbers[:, 0])
            contrast = _factor(operation.contrast, numbers[:, 1])
            saturation = _factor(operation.saturation, numbers[:, 2])
            turn = operation.colour_turn * (2 * numbers[:, 3] - 1)
            mixes, adds = operation.saturation > 0 or operation.colour_turn > 0, operation.contrast > 0
        case Grayscale():
            saturation = (numbers[:, 0] >= operation.probability).double()
            brightness, contrast, turn = one, one, zero
            mixes, adds = True, False
    gains = brightness * contrast
    return Recolour(
        matrices=gains[:, None, None] * (_turned(turn) @ _saturated(saturation)),
        gains=gains,
        offsets=(brightness * (1 - contrast))[:, None] * _LUMA[0],
        mixes=mixes,
        adds=adds,
    )


def _factor(distance: float, numbers: Tensor) -> Tensor:
    low = max(1 - distance, 0.0)
    return low + (1 + distance - low) * numbers


def _saturated(saturation: Tensor) -> Tensor:
    """Return matrices, float64 [B, 3, 3], for factors [B]."""
    return _LUMA + saturation[:, None, None] * (_EYE - _LUMA)


def _turned(turn: Tensor) -> Tensor:
    """Return matrices, float64 [B, 3, 3], for parts of a full turn [B]."""
    angle = 2 * math.pi * turn[:, None, None]
    return _MEAN + angle.cos() * (_EYE - _MEAN) + angle.sin() * _QUARTER


def _mixed(images: Tensor, matrices: Tensor) -> Tensor:
    """Multiply the colour of every pixel by a matrix.

    As fast as a matrix product, and single precision even where matrix products are set to TF32 or bfloat16.
    """
    columns = matrices[:, :, :, None, None]
    result = columns[:, :, 0] * images[:, 0:1]
    result.addcmul_(columns[:, :, 1], images[:, 1:2])
    return result.addcmul_(columns[:, :, 2], images[:, 2:3])


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]
