"""Pictures put together from pictures and lines of text, on white."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ..text import shortened

Color = tuple[int, int, int]
BLACK, SOFT, RED = (30, 30, 30), (100, 106, 115), (176, 66, 0)

GAP = 6  # pixels between pictures
LINE = 18  # pixels from one line of text to the next
_TEXT, _MARGIN = 14, 16  # pixels
_WHITE = (255, 255, 255)


def picture_of(image: NDArray[np.uint8]) -> Image.Image:
    """Return an image, uint8 [C, H, W] with 1 or 3 channels, as a picture of its pixels."""
    grey = len(image) == 1
    return Image.fromarray(np.ascontiguousarray(image[0] if grey else image.transpose(1, 2, 0))).convert("RGB")


def sized(picture: Image.Image, smallest: int, largest: int) -> Image.Image:
    """Return a picture that is large enough to be seen and no larger than necessary.

    Small ones are enlarged by a whole factor without smoothing, so that the pixels stay visible.

    Args:
        picture: of any size.
        smallest: least pixels of the longer side.
        largest: most pixels of the longer side, unless the smallest whole factor makes it larger.
    """
    longer = max(picture.size)
    if longer > largest:
        width, height = (max(1, side * largest // longer) for side in picture.size)
        return picture.resize((width, height), Image.Resampling.LANCZOS)
    factor = math.ceil(smallest / longer)
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def lines_of_text(lines: Sequence[tuple[str, Color]], width: int | None = None) -> Image.Image:
    """Return lines of text below each other in their colours; what is longer than a width in pixels is cut."""
    font = ImageFont.load_default(_TEXT)
    texts = [_cut(" ".join(text.split()), font, width) for text, _ in lines]
    needed = width or math.ceil(max(font.getlength(text) for text in texts)) + 1
    picture = Image.new("RGB", (needed, LINE * len(lines)), _WHITE)
    draw = ImageDraw.Draw(picture)
    for place, (text, (_, color)) in enumerate(zip(texts, lines, strict=True)):
        draw.text((0, LINE * (place + 0.5)), text, fill=color, font=font, anchor="lm")
    return picture


def column(pictures: Sequence[Image.Image], gap: int = GAP) -> Image.Image:
    """Stack pictures below each other, aligned at the left edge."""
    width = max(picture.width for picture in pictures)
    height = sum(picture.height for picture in pictures) + gap * (len(pictures) - 1)
    whole, top = Image.new("RGB", (width, height), _WHITE), 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height + gap
    return whole


def row(pictures: Sequence[Image.Image], gap: int = GAP) -> Image.Image:
    """Place pictures beside each other, aligned at the upper edge."""
    width = sum(picture.width for picture in pictures) + gap * (len(pictures) - 1)
    height = max(picture.height for picture in pictures)
    whole, left = Image.new("RGB", (width, height), _WHITE), 0
    for picture in pictures:
        whole.paste(picture, (left, 0))
        left += picture.width + gap
    return whole


def grid(pictures: Sequence[Image.Image], columns: int, gap: int = GAP) -> Image.Image:
    """Arrange pictures of one width in rows of so many."""
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    return column([row(each, gap) for each in rows], gap)


def titled(title: str, picture: Image.Image) -> Image.Image:
    """Return a picture with a line of text above it."""
    return column([lines_of_text([(title, BLACK)]), picture])


def framed(picture: Image.Image) -> Image.Image:
    """Return a picture with a margin around it."""
    return ImageOps.expand(picture, _MARGIN, _WHITE)


def _cut(line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int | None) -> str:
    cut = line
    while width is not None and len(cut) > 1 and font.getlength(cut) > width:
        cut = shortened(line, len(cut) - 1)
    return cut
