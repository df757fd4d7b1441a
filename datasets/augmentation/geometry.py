"""Where each pixel of the result comes from: crop, flip, rotation, shift and scale as one map and one reading.

A map takes a pixel of the result to a place in the image, both as (x, y) in pixels from the image's centre, y down.
Maps of neighbouring operations are multiplied, so that they interpolate once, and what one moved out of sight the next
can bring back. Where all of them move whole pixels, nothing is interpolated and images stay uint8.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .operations import Affine, Border, Crop, Flip

# grid_sample's words; with align_corners=False its reflection is about the edge of the last pixel: symmetric.
_GRID_SAMPLE = {"zeros": "zeros", "edge": "border", "symmetric": "reflection"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resample:
    """Read images at the places that maps say.

    Args:
        maps: [B, 2, 3], from (x, y, 1) in the result to (x, y) in the image, in pixels from the centre.
        whole: every map takes pixels to pixels, and rows to rows.
        border: what lies beyond the images; None if nothing beyond is read.
    """

    maps: Tensor
    whole: bool
    border: Border | None

    def __call__(self, images: Tensor) -> Tensor:
        """Read images, uint8 or float32 [B, C, H, W]: float32 in 0 to 255, or the same dtype if `whole`."""
        border = self.border or "edge"
        return _gather(images, self.maps, border) if self.whole else _interpolate(images, self.maps, border)

    def then(self, following: object) -> "Resample | None":
        """Combine this and a following reading into one, or return None if their borders differ."""
        if not isinstance(following, Resample) or len({self.border, following.border} - {None}) > 1:
            return None
        maps = self.maps[:, :, :2] @ following.maps
        maps[:, :, 2] += self.maps[:, :, 2]
        return Resample(maps=maps, whole=self.whole and following.whole, border=self.border or following.border)


def resample(operation: Crop | Flip | Affine, numbers: Tensor, height: int, width: int) -> Resample:
    """Return the reading for random numbers, float64 [B, numbers] in [0, 1), and a height and width in pixels."""
    return Resample(
        maps=_maps(operation, numbers, height, width),
        whole=not isinstance(operation, Affine),
        border=None if isinstance(operation, Flip) else operation.border,
    )


def _maps(operation: Crop | Flip | Affine, numbers: Tensor, height: int, width: int) -> Tensor:
    """Return the maps of one operation, float64 [B, 2, 3], see `Resample`."""
    one, zero = torch.ones_like(numbers[:, 0]), torch.zeros_like(numbers[:, 0])
    match operation:
        case Crop():
            x, y = (torch.floor(numbers * (2 * operation.padding + 1)) - operation.padding).unbind(1)
            entries = [one, zero, x, zero, one, y]
        case Flip():
            x = 1 - 2 * (numbers[:, 0] < operation.horizontal).double()
            y = 1 - 2 * (numbers[:, 1] < operation.vertical).double()
            entries = [x, zero, zero, zero, y, zero]
        case Affine():
            angle = _between(*operation.degrees, numbers[:, 0]).deg2rad()
            x = _between(-operation.translation, operation.translation, numbers[:, 1]) * width
            y = _between(-operation.translation, operation.translation, numbers[:, 2]) * height
            scale = _between(*operation.scale, numbers[:, 3])
            cos, sin = angle.cos() / scale, angle.sin() / scale
            # The way back from the result: shift by (-x, -y), turn clockwise, shrink.
            entries = [cos, -sin, sin * y - cos * x, sin, cos, -sin * x - cos * y]
    return torch.stack(entries, 1).view(-1, 2, 3)


def _between(low: float, high: float, numbers: Tensor) -> Tensor:
    return low + (high - low) * numbers


def _gather(images: Tensor, maps: Tensor, border: Border) -> Tensor:
    count, channels, height, width = images.shape
    rows = _places(maps[:, 1, 1], maps[:, 1, 2], height)
    columns = _places(maps[:, 0, 0], maps[:, 0, 2], width)
    places = _folded(rows, height, border)[:, :, None] * width + _folded(columns, width, border)[:, None, :]
    flat = places.view(count, 1, height * width).expand(-1, channels, -1)
    result = images.reshape(count, channels, height * width).gather(2, flat).view(count, channels, height, width)
    if border == "zeros":
        result *= _inside(rows, height)[:, None, :, None] & _inside(columns, width)[:, None, None, :]
    return result


def _places(factor: Tensor, shift: Tensor, size: int) -> Tensor:
    """Return the row (or column) of the image for each row of the result, int64 [B, size]; exact, as all is whole."""
    middle = (size - 1) / 2
    places = torch.arange(size, dtype=torch.float32, device=factor.device) - middle
    return (factor[:, None] * places + (shift[:, None] + middle)).long()


def _inside(places: Tensor, size: int) -> Tensor:
    return (places >= 0) & (places < size)


def _folded(places: Tensor, size: int, border: Border) -> Tensor:
    """Bring places beyond the image back into it."""
    if border != "symmetric":
        return places.clamp(0, size - 1)
    places = places.remainder(2 * size)
    return torch.minimum(places, 2 * size - 1 - places)


def _interpolate(images: Tensor, maps: Tensor, border: Border) -> Tensor:
    height, width = images.shape[-2:]
    # grid_sample counts from -1 to 1, from edge to edge. (affine_grid would make the same grid 20 times as slowly.)
    maps = torch.stack((maps[:, 0] * (2 / width), maps[:, 1] * (2 / height)), 1)
    along_x, along_y, shift = maps[:, :, None, None].unbind(-1)
    x = torch.arange(width, dtype=torch.float32, device=images.device) - (width - 1) / 2
    y = torch.arange(height, dtype=torch.float32, device=images.device) - (height - 1) / 2
    grid = (along_x * x + (along_y * y[:, None] + shift)).permute(0, 2, 3, 1)
    mode = _GRID_SAMPLE[border]
    return functional.grid_sample(images.float(), grid, padding_mode=mode, align_corners=False).clamp_(0, 255)
