"""Image files to arrays: Pillow in as many threads as there are cores.

The rules, the same for every data set of image files:

- The first frame counts. The orientation that a camera noted (EXIF) is applied.
- Data sets are grey when none of their images has colour (Pillow's modes 1, L, LA and 16-bit grey), RGB otherwise.
- Transparent parts are laid over white. 16 bits per pixel become 8 by rounding. Pixels in floating point, or integers
  beyond 16 bits, have no defined range and count as unreadable.
- With an image size, the largest centred square is cut out and resized (bicubic, antialiased), which is the same as
  resizing the shorter side and then cutting out the centre.
- JPEG files are decoded at their full size. At an eighth of it that takes a fifth of the time, but gives other pixels
  than those of a program that decodes the file itself and hands the array on.
"""

import os
import stat
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

_S = TypeVar("_S")
_T = TypeVar("_T")

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM")
"""Those that Pillow may try, whatever a file is called: it hands PostScript to Ghostscript, which runs it."""

_SIXTEEN_BITS = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})  # Pillow below 11 opens 16-bit PNG files as I
_GREY = frozenset({"1", "L", "LA"}) | _SIXTEEN_BITS

# What turns an image upright, by the value that the camera noted: Exif 2.32, table 6, tag 274.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset({5, 6, 7, 8})


@dataclass(frozen=True, slots=True)
class Header:
    """What an image file says about itself: (height, width) in pixels when upright, and whether it is grey."""

    size: tuple[int, int]
    grey: bool


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why an image file cannot be read."""

    reason: str


def open_image(file: Path | BinaryIO) -> Image.Image:
    """Open an image file in one of `FORMATS` without decoding it.

    Raises:
        DecompressionBombError: it has more pixels than Pillow's guard lets through, whatever becomes of warnings.
        Exception: whatever Pillow's readers raise on broken bytes.
    """
    if isinstance(file, Path) and not stat.S_ISREG(file.stat().st_mode):
        raise OSError("not a file")  # a named pipe would be waited for
    image = Image.open(file, formats=FORMATS)
    if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        image.close()
        raise Image.DecompressionBombError
    return image


def read_header(path: Path) -> Header | Unreadable:
    """Read size and mode of an image file, without decoding it (except PNG files with an orientation)."""
    try:
        with open_image(path) as image:
            width, height = image.size
            if _orientation(image) in _SIDEWAYS:
                width, height = height, width
            return Header((height, width), image.mode in _GREY)
    except Exception as error:  # noqa: BLE001  Pillow's readers raise whatever broken bytes lead to
        return Unreadable(why_unreadable(error))


def read_image(path: Path, *, grey: bool, image_size: int | None) -> "NDArray[np.uint8] | Unreadable":
    """Decode an image file to uint8 [C, H, W], with 1 channel if grey and 3 otherwise."""
    try:
        with open_image(path) as image:
            return pixels_of(image, grey=grey, image_size=image_size)
    except Exception as error:  # noqa: BLE001  see read_header
        return Unreadable(why_unreadable(error))


def decoding_problem(path: Path) -> Unreadable | None:
    """Decode an image file only to find out whether that works; a JPEG file at an eighth of its size."""
    try:
        with open_image(path) as image:
            image.draft(None, (1, 1))
            flatten(image, grey=False)
    except Exception as error:  # noqa: BLE001  see read_header
        return Unreadable(why_unreadable(error))
    return None


def pixels_of(image: Image.Image, *, grey: bool, image_size: int | None) -> NDArray[np.uint8]:
    """Convert an opened image, decoded or not, to uint8 [C, H, W].

    Raises:
        Exception: whatever Pillow's readers raise on broken bytes.
    """
    upright = _UPRIGHT.get(_orientation(image))
    flat = flatten(image, grey=grey)
    if upright is not None:
        flat = flat.transpose(upright)
    if image_size is not None:
        flat = square(flat, image_size)
    pixels = np.asarray(flat)
    return pixels[np.newaxis] if grey else pixels.transpose(2, 0, 1)


def flatten(image: Image.Image, *, grey: bool) -> Image.Image:
    """Convert an image of any mode to 8 bits, grey or RGB, over white where it is transparent."""
    if image.mode in _SIXTEEN_BITS:
        image = _eight_bits(image)
    if image.mode == "F":
        raise ValueError("pixels in floating point have no defined range")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if grey else "RGB")


def square(image: Image.Image, image_size: int) -> Image.Image:
    """Cut out the largest centred square of an image and resize it to `image_size` pixels (bicubic, antialiased)."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return image.resize((image_size, image_size), Image.Resampling.BICUBIC, box=box)


def why_unreadable(error: Exception) -> str:
    """Return in a few words why an image file could not be opened or decoded."""
    if isinstance(error, UnidentifiedImageError):
        return "not JPEG, PNG, WebP, TIFF, BMP or PPM"
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels, Pillow's guard against decompression bombs"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


@contextmanager
def pillow_warnings_settled() -> Generator[None]:
    """Inside, Pillow's warnings about what `open_image` refuses or reads anyway are silent, in all threads."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


@contextmanager
def all_cores() -> Generator[ThreadPoolExecutor]:
    """Open a pool of as many threads as this process may use cores; tasks still waiting at the end are cancelled."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone knows it
    pool = ThreadPoolExecutor(len(affinity(0)) if affinity else os.cpu_count())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def mapped(pool: ThreadPoolExecutor, function: Callable[[_S], _T], items: Sequence[_S]) -> list[_T]:
    """Map a function over items, in order; several items a task, because a task costs as much as reading a header."""
    chunks = [items[start : start + 16] for start in range(0, len(items), 16)]

    def run(chunk: Iterable[_S]) -> list[_T]:
        return [function(item) for item in chunk]

    return [value for values in pool.map(run, chunks) for value in values]


def _orientation(image: Image.Image) -> int:
    """Return the orientation that a camera noted, 1 to 8, or 1."""
    # Pillow turns TIFF files itself, and would decode all pixels of a PNG file in search of a late entry.
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    return image.getexif().get(ExifTags.Base.Orientation, 1)


def _eight_bits(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image)
    if pixels.min() < 0 or pixels.max() > np.iinfo(np.uint16).max:
        raise ValueError("integer pixels beyond 16 bits have no defined range")
    wide = pixels.astype(np.uint32)  # in place, as a few kilobytes of PNG may be 89 million pixels
    wide += 128
    wide //= 257
    return Image.fromarray(wide.astype(np.uint8))
