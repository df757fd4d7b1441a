"""Squares that cover a part of an image."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .operations import Cutout


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase:
    """Cover a square of each image.

    Args:
        corners: int64 [B, 2], row and column of the square's first pixel; may lie outside.
        side: of the squares, in pixels.
        fill: grey level.
    """

    corners: Tensor
    side: int
    fill: int

    def __call__(self, images: Tensor) -> Tensor:
        """Cover a square of each image, uint8 or float32 [B, C, H, W]; the dtype stays."""
        height, width = images.shape[-2:]
        rows = _covered(self.corners[:, 0], self.side, height)
        columns = _covered(self.corners[:, 1], self.side, width)
        return images.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], self.fill)

    def then(self, following: object) -> None:
        """Return None: no following step can be combined with it."""
        return


def erase(operation: Cutout, numbers: Tensor, height: int, width: int) -> Erase:
    """Return the squares for random numbers, float64 [B, 2] in [0, 1), and a height and width in pixels."""
    side = round(operation.size * min(height, width))
    centres = (numbers * torch.tensor([height, width], dtype=torch.float64)).long()
    return Erase(corners=centres - side // 2, side=side, fill=operation.fill)


def _covered(first: Tensor, side: int, size: int) -> Tensor:
    places = torch.arange(size, device=first.device)
    return (places >= first[:, None]) & (places < first[:, None] + side)
