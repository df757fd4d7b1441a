import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from optrack.datasets.folders import SUFFIXES
from optrack.datasets.store.decoding import (
    Header,
    Unreadable,
    decoding_problem,
    flatten,
    pillow_warnings_settled,
    read_header,
    read_image,
    square,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20

# How a camera that is held so stores an image that is upright in truth.
TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def _saved(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def _pixels(path: Path, *, grey: bool, image_size: int | None = None) -> "NDArray[np.uint8]":
    image = read_image(path, grey=grey, image_size=image_size)
    assert isinstance(image, np.ndarray)
    return image


def test_colour_becomes_three_channels_and_grey_one(tmp_path: Path) -> None:
    grey = _saved(Image.fromarray(RAMP), tmp_path / "grey.png")
    assert read_header(grey) == Header((3, 4), grey=True)
    assert np.array_equal(_pixels(grey, grey=True), RAMP[np.newaxis])
    assert np.array_equal(_pixels(grey, grey=False), np.stack([RAMP] * 3))


@pytest.mark.parametrize(
    ("mode", "is_grey"),
    [("1", True), ("L", True), ("LA", True), ("I;16", True), ("P", False), ("RGB", False), ("RGBA", False)],
)
def test_a_header_tells_grey_from_colour(tmp_path: Path, mode: str, is_grey: bool) -> None:  # noqa: FBT001  parameter
    assert read_header(_saved(Image.new(mode, (5, 4)), tmp_path / "image.png")) == Header((4, 5), grey=is_grey)


def test_sixteen_bits_become_eight_by_rounding(tmp_path: Path) -> None:
    deep = np.array([[0, 128, 129, 257, 65535]], dtype=np.uint16)
    path = _saved(Image.fromarray(deep), tmp_path / "deep.png")
    image = _pixels(path, grey=True)
    assert image.tolist() == [[[0, 0, 1, 1, 255]]]


def test_transparent_parts_lie_over_white() -> None:
    half = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    half.putpixel((1, 0), (10, 20, 30, 255))
    assert np.asarray(flatten(half, grey=False)).tolist() == [[[255, 255, 255], [10, 20, 30]]]
    assert np.asarray(flatten(Image.new("LA", (1, 1), (40, 0)), grey=True)).tolist() == [[255]]


def test_a_palette_becomes_its_colours_with_its_transparency() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([200, 0, 0, 0, 100, 0])
    palette.putpixel((1, 0), 1)
    assert np.asarray(flatten(palette, grey=False)).tolist() == [[[200, 0, 0], [0, 100, 0]]]
    palette.info["transparency"] = 0
    assert np.asarray(flatten(palette, grey=False)).tolist() == [[[255, 255, 255], [0, 100, 0]]]


@pytest.mark.parametrize("pixels", [np.full((2, 2), 0.5, np.float32), np.full((2, 2), 70_000, np.int32)])
def test_pixels_without_a_defined_range_are_unreadable(tmp_path: Path, pixels: np.ndarray) -> None:
    path = _saved(Image.fromarray(pixels), tmp_path / "odd.tif")
    image = read_image(path, grey=True, image_size=None)
    assert isinstance(image, Unreadable)
    assert "no defined range" in image.reason


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_that_a_camera_noted_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = np.zeros((8, 16), dtype=np.uint8)
    upright[:4, :8] = 255  # white at the top left
    stored = Image.fromarray(upright)
    if orientation in TURNED:
        stored = stored.transpose(TURNED[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = _saved(stored.convert("RGB"), tmp_path / f"image{suffix}", exif=exif, quality=95)
    image = _pixels(path, grey=True)
    assert image.shape == (1, 8, 16)
    assert np.array_equal(image[0] > 127, upright > 127)
    assert read_header(path) == Header((8, 16), grey=False)


def test_the_largest_centred_square_is_kept() -> None:
    wide = np.zeros((4, 12), dtype=np.uint8)
    wide[:, 4:8] = 255
    assert np.asarray(square(Image.fromarray(wide), 4)).tolist() == [[255] * 4] * 4
    assert square(Image.fromarray(wide), 7).size == (7, 7)


def test_an_image_of_the_right_size_is_not_changed() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(square(Image.fromarray(pixels), 9)), pixels)


def test_shrinking_is_antialiased() -> None:
    checkers = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = np.asarray(square(Image.fromarray(checkers), 8)).astype(int)
    assert np.abs(small - 127.5).max() < 3


@pytest.mark.parametrize("image_size", [4, 32, 100])
def test_a_large_jpeg_file_is_the_same_pixels_as_the_photo_that_others_decode(tmp_path: Path, image_size: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    photo = Image.fromarray(noise).resize((400, 300), Image.Resampling.BICUBIC)
    path = _saved(photo, tmp_path / "big.jpg", quality=95)
    with Image.open(path) as image:
        whole = np.asarray(square(Image.fromarray(np.asarray(image)), image_size))
    assert np.array_equal(_pixels(path, grey=False, image_size=image_size), whole.transpose(2, 0, 1))


def test_whether_a_file_can_be_decoded_is_found_out_without_its_pixels(tmp_path: Path) -> None:
    path = _saved(Image.effect_noise((64, 64), 50), tmp_path / "whole.jpg")
    assert decoding_problem(path) is None
    path.write_bytes(path.read_bytes()[:500])
    problem = decoding_problem(path)
    assert problem is not None
    assert "truncated" in problem.reason
    assert decoding_problem(tmp_path / "gone.png") == Unreadable("No such file or directory")


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "not JPEG, PNG"), (b"hello", "not JPEG, PNG"), (b"\x89PNG\r\n\x1a\n", "")]
)
def test_broken_files_are_unreadable_with_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    for value in (read_header(path), read_image(path, grey=True, image_size=4)):
        assert isinstance(value, Unreadable)
        assert reason in value.reason


def test_a_truncated_file_is_unreadable(tmp_path: Path) -> None:
    path = _saved(Image.effect_noise((64, 64), 50), tmp_path / "cut.jpg")
    path.write_bytes(path.read_bytes()[:500])
    image = read_image(path, grey=True, image_size=None)
    assert isinstance(image, Unreadable)
    assert "truncated" in image.reason


def test_a_file_that_is_gone_is_unreadable(tmp_path: Path) -> None:
    assert read_header(tmp_path / "gone.png") == Unreadable("No such file or directory")


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_files_of_every_suffix_that_counts_are_read(tmp_path: Path, suffix: str) -> None:
    path = _saved(Image.new("L", (5, 4)), tmp_path / f"image{suffix}")
    header = read_header(path)
    assert isinstance(header, Header)
    assert header.size == (4, 5)
    assert _pixels(path, grey=False).shape == (3, 4, 5)


POSTSCRIPT = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 10 10
%%EndComments
(program) print
showpage
"""


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".eps"])
def test_postscript_never_reaches_ghostscript_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    ghostscript, ran = tmp_path / "gs", tmp_path / "ran"
    ghostscript.write_text(f"#!/bin/sh\ntouch {ran}\n")
    ghostscript.chmod(0o755)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", str(ghostscript))
    path = tmp_path / f"image{suffix}"
    path.write_bytes(POSTSCRIPT)
    with Image.open(path) as image, pytest.raises(OSError, match="cannot"):
        image.load()
    assert ran.exists()  # Pillow alone runs it
    ran.unlink()
    refused = Unreadable("not JPEG, PNG, WebP, TIFF, BMP or PPM")
    assert read_header(path) == read_image(path, grey=False, image_size=4) == refused
    assert not ran.exists()


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.jpg"
    os.mkfifo(path)
    assert read_header(path) == Unreadable("not a file")


@pytest.mark.parametrize("limit", [99, 40])
@pytest.mark.parametrize("action", ["ignore", "error"])
def test_the_guard_against_bombs_does_not_hang_on_how_warnings_are_treated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, action: Any
) -> None:
    path = _saved(Image.new("L", (10, 10)), tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter(action, Image.DecompressionBombWarning)
        assert isinstance(read_image(path, grey=True, image_size=4), Unreadable)


@pytest.mark.parametrize("limit", [99, 40])
def test_a_decompression_bomb_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    path = _saved(Image.new("L", (10, 10)), tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pillow_warnings_settled():
        header = read_header(path)
    assert header == Unreadable(f"more than {limit} pixels, Pillow's guard against decompression bombs")
