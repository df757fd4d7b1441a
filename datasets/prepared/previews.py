"""Pictures of a data set: grids of images with a label before each row."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..errors import DataError
from ..store import Prepared, SearchData
from .preparation import open_prepared

_PER_CLASS = 4
_SMALLEST = 56  # pixels of an image's longer side in a picture: one sees what a traffic sign says
_LARGEST = 160
_GAP = 4
_MARGIN = 16
_TEXT = 14  # pixels
_WIDEST_LABEL = 240  # pixels; longer ones are cut
_RATIO = 1.4  # of a picture's width to its height, which decides into how many columns its rows go
_WHITE, _BLACK = (255, 255, 255), (30, 30, 30)


def preview(prepared: Prepared, *, per_class: int = _PER_CLASS, seed: int = 0) -> Image.Image:
    """Draw a few training images of every class, chosen at random by the seed."""
    data = open_prepared(prepared)
    return draw_grid(data.classes, [data.images[chosen] for chosen in samples(data, per_class, seed)])


def augmentation_preview(prepared: Prepared, *, images: int = 8, seed: int = 0) -> Image.Image:
    """Draw the same training images under each augmentation: a row for each preset, the first without."""
    import torch

    from ..augmentation import PRESETS, preset

    data = open_prepared(prepared)
    by_class = samples(data, math.ceil(images / len(data.classes)), seed)
    chosen = np.concatenate(by_class)[np.random.default_rng(seed).permutation(sum(map(len, by_class)))[:images]]
    batch = torch.from_numpy(data.images[chosen])
    rows = [preset(name)(batch, torch.Generator().manual_seed(seed)) for name in PRESETS]
    return draw_grid(list(PRESETS), [row.round().clamp(0, 255).to(torch.uint8).numpy() for row in rows])


def samples(data: SearchData, per_class: int = _PER_CLASS, seed: int = 0) -> list[NDArray[np.int64]]:
    """Choose at most `per_class` training images of each class, int64 [n], of different groups as far as possible."""
    generator, labels = np.random.default_rng(seed), data.labels[data.train]
    chosen: list[NDArray[np.int64]] = []
    for label in range(len(data.classes)):
        members = generator.permutation(data.train[labels == label])
        if data.groups is not None:
            first = np.sort(np.unique(data.groups[members], return_index=True)[1])
            members = np.concatenate([members[first], np.delete(members, first)])
        chosen.append(members[:per_class])
    return chosen


def draw_grid(labels: Sequence[str], rows: Sequence[NDArray[np.uint8]]) -> Image.Image:
    """Draw rows of images with a label before each; many rows stand in several columns.

    Small images are enlarged by a whole factor without smoothing, so that what one sees are the pixels.

    Args:
        labels: [R] what stands before each row, at least one.
        rows: [R] images of each row, uint8 [n, C, H, W] with 1 or 3 channels; n may differ, C, H and W may not.
    """
    font = ImageFont.load_default(_TEXT)
    lines = [_fitted(label, font) for label in labels]
    cell_height, cell_width = _cell(*rows[0].shape[2:])
    label_width = math.ceil(max(font.getlength(line) for line in lines)) + 3 * _GAP
    row_width = label_width + max(len(images) for images in rows) * (cell_width + _GAP) + _MARGIN
    row_height = max(cell_height, 2 * _TEXT) + _GAP
    columns = _columns(len(rows), row_width, row_height)
    per_column = math.ceil(len(rows) / columns)
    canvas = Image.new("RGB", (columns * row_width + _MARGIN, per_column * row_height + 2 * _MARGIN), _WHITE)
    draw = ImageDraw.Draw(canvas)
    for index, (line, images) in enumerate(zip(lines, rows, strict=True)):
        left, top = _MARGIN + index // per_column * row_width, _MARGIN + index % per_column * row_height
        draw.text((left, top + (row_height - _GAP) / 2), line, fill=_BLACK, font=font, anchor="lm")
        for place, image in enumerate(images):
            cell = _picture(image).resize((cell_width, cell_height), Image.Resampling.NEAREST)
            canvas.paste(cell, (left + label_width + place * (cell_width + _GAP), top))
    return canvas


def save(picture: Image.Image, file: Path) -> None:
    """Save a picture as PNG in a folder that is there."""
    try:
        picture.save(file, format="PNG")
    except OSError as error:
        raise DataError(f"the picture {str(file)!r} cannot be written: {error}") from error


def _cell(height: int, width: int) -> tuple[int, int]:
    """Return height and width of an image in the picture."""
    longer = max(height, width)
    if longer > _LARGEST:
        return max(1, height * _LARGEST // longer), max(1, width * _LARGEST // longer)
    factor = math.ceil(_SMALLEST / longer)
    return height * factor, width * factor


def _columns(rows: int, row_width: int, row_height: int) -> int:
    """Return the number of columns that brings the picture nearest to `_RATIO`."""

    def misfit(columns: int) -> float:
        ratio = columns * row_width / (math.ceil(rows / columns) * row_height)
        return abs(math.log(ratio / _RATIO))

    return min(range(1, rows + 1), key=misfit)


def _picture(image: NDArray[np.uint8]) -> Image.Image:
    grey = len(image) == 1
    return Image.fromarray(np.ascontiguousarray(image[0] if grey else image.transpose(1, 2, 0))).convert("RGB")


def _fitted(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Return a label in one line, cut if it is too long."""
    line = cut = " ".join(label.split())
    while font.getlength(cut) > _WIDEST_LABEL:
        line = line[:-1]
        cut = f"{line}…"
    return cut
