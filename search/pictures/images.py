"""Pictures of a champion: images that it misclassified, its filters, and its feature maps of an image."""

import io
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from ..results import TestResult
from .canvas import BLACK, GAP, RED, SOFT, column, framed, grid, lines_of_text, picture_of, row, sized, titled
from .layers import Normalise, convolution_outputs

_COLUMNS, _CELL = 4, 168  # pixels: a class's name in one line
_SMALLEST, _LARGEST = 96, 160  # pixels of an image's longer side
_MANY, _SMALLEST_OF_FEW, _SMALLEST_OF_MANY, _LARGEST_MAP = 16, 56, 35, 64  # likewise of a filter or feature map
_FILTERS, _MAPS = 64, 32
_THIN = 3  # pixels between filters, and between feature maps
_BETWEEN = 24  # pixels between groups of pictures
_COLOURS = 3


def misclassified(images: NDArray[np.uint8], result: TestResult, *, count: int = 24) -> Image.Image:
    """Show the mistakes that a network was most confident of: right class, predicted class and confidence.

    Args:
        images: uint8 [N, C, H, W] with 1 or 3 channels; only those that are drawn are read.
        result: of these images.
        count: how many mistakes at most, at least 1.
    """
    mistakes = np.flatnonzero(~result.correct)
    chosen: list[int] = mistakes[np.argsort(-result.confidences[mistakes], kind="stable")][:count].tolist()
    if not chosen:
        return framed(lines_of_text([(f"None of {len(result.labels)} images was mistaken.", BLACK)]))
    return framed(grid([_mistake(images[index], result, index) for index in chosen], _COLUMNS, 2 * GAP))


def filters(before: Tensor, after: Tensor) -> Image.Image:
    """Show first-layer weights before and after training side by side, in colour where there are three channels.

    Both have the same scale: mid grey is zero, and the largest weight of either is black or white. Where there are
    not three channels, the first one is drawn in grey.

    Args:
        before: float [out, in, kH, kW].
        after: likewise.

    Raises:
        ValueError: they have different shapes.
    """
    if before.shape != after.shape:
        raise ValueError(f"weights must have the same shape, but got {[*before.shape]} and {[*after.shape]}")
    shown = min(len(after), _FILTERS)
    both = torch.stack([before[:shown], after[:shown]]).detach().to("cpu", torch.float32).nan_to_num(0.0, 0.0, 0.0)
    if both.shape[2] != _COLOURS:
        both = both[:, :, :1]
    largest = both.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    levels: NDArray[np.uint8] = (127.5 + 127.5 * both / largest).round().to(torch.uint8).numpy()
    across = math.ceil(math.sqrt(shown))
    blocks = [
        titled(f"{when} training", grid(_small([picture_of(kernel) for kernel in kernels]), across, _THIN))
        for when, kernels in zip(("before", "after"), levels, strict=True)
    ]
    note = f"{shown} of {len(after)} filters, {after.shape[2]} x {after.shape[3]} weights each"
    return framed(column([row(blocks, _BETWEEN), lines_of_text([(note, SOFT)])]))


def feature_maps(model: nn.Module, image: NDArray[np.uint8] | Tensor, normalise: Normalise) -> Image.Image | None:
    """Show the outputs of the first and the last convolution beside the image that they are of.

    Each map has its own scale, from its smallest output, black, to its largest, white; a constant one is grey.

    Args:
        model: in any mode, on any device; left unchanged.
        image: uint8 [C, H, W] with 1 or 3 channels.
        normalise: applied to the images before the model.

    Returns:
        None for a model without convolutions.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    pixels = np.array(image)
    outputs = convolution_outputs(model, torch.from_numpy(pixels).to(device), normalise)
    if not outputs:
        return None
    names = [*outputs]
    ends = (
        {names[0]: "first convolution", names[-1]: "last convolution"} if len(names) > 1 else {names[0]: "convolution"}
    )
    blocks = [_maps(f"{place}, {name}", outputs[name]) for name, place in ends.items()]
    return framed(row([titled("image", sized(picture_of(pixels), _SMALLEST, _LARGEST)), column(blocks, 12)], _BETWEEN))


def png(image: Image.Image) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _mistake(image: NDArray[np.uint8], result: TestResult, index: int) -> Image.Image:
    right, taken = int(result.labels[index]), int(result.predictions[index])
    lines = [
        (f"is {result.classes[right]}", BLACK),
        (f"answered {result.classes[taken]}", RED),
        (f"{100 * float(result.confidences[index]):.1f} % sure", SOFT),
    ]
    return column([sized(picture_of(image), _SMALLEST, _LARGEST), lines_of_text(lines, _CELL)])


def _maps(title: str, outputs: Tensor) -> Image.Image:
    """Show the maps of a layer, float32 [out, h, w]."""
    shown = outputs[:_MAPS].nan_to_num(0.0, 0.0, 0.0)
    low, high = shown.amin((1, 2), keepdim=True), shown.amax((1, 2), keepdim=True)
    levels = torch.where(high > low, 255 * (shown - low) / (high - low), 127.5)
    pixels: NDArray[np.uint8] = levels.round().to(torch.uint8).numpy()
    size = f"{len(pixels)} of {len(outputs)} maps, {outputs.shape[1]} x {outputs.shape[2]}"
    pictures = _small([picture_of(each[None]) for each in pixels])
    return column([lines_of_text([(title, BLACK), (size, SOFT)]), grid(pictures, 8, _THIN)])


def _small(pictures: Sequence[Image.Image]) -> list[Image.Image]:
    smallest = _SMALLEST_OF_FEW if len(pictures) <= _MANY else _SMALLEST_OF_MANY
    return [sized(picture, smallest, _LARGEST_MAP) for picture in pictures]
