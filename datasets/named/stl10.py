"""STL-10."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..store import ArrayContents, DatasetInfo
from .named import NamedDataset
from .official import PartFiles, fetch_members, labelled

_CLASSES = 10
_FOLDER = "stl10_binary"
_NAMES = "class_names.txt"
_TRAIN, _TEST = ("train_X.bin", "train_y.bin", _NAMES), ("test_X.bin", "test_y.bin", _NAMES)
_SHAPE = (3, 96, 96)  # of an image, but column by column: its rows are the second axis
_BYTES = 3 * 96 * 96


def _read(files: Sequence[Path]) -> ArrayContents:
    """Read labels, and map the images into memory."""
    images_file, labels_file, names_file = files
    classes = _read_names(names_file)
    try:
        labels = np.fromfile(labels_file, dtype=np.uint8).astype(np.int64) - 1
        size = images_file.stat().st_size
        if size == 0 or size % _BYTES:
            raise DataError(f"{str(images_file)!r} is damaged: {size} bytes are not whole images of {_BYTES} bytes")
        images = np.memmap(images_file, dtype=np.uint8, mode="r").reshape(-1, *_SHAPE).transpose(0, 1, 3, 2)
    except OSError as error:
        raise DataError(f"{str(images_file)!r} or {labels_file.name} cannot be read: {error.strerror}") from error
    return labelled(images, labels, classes, (images_file, labels_file), first=1)


def _read_names(file: Path) -> tuple[str, ...]:
    try:
        names = tuple(file.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{str(file)!r} cannot be read: {error}") from error
    if len(set(names)) != _CLASSES or len(names) != _CLASSES:
        raise DataError(f"{str(file)!r} must have {_CLASSES} different names, but has {len(names)}")
    return names


STL10 = NamedDataset(
    info=DatasetInfo(
        name="stl10",
        summary="animals and vehicles, 5,000 labelled images to train on",
        channels=3,
        image_size=96,
        classes=_CLASSES,
        source="https://cs.stanford.edu/~acoates/stl10/",
    ),
    official=PartFiles(
        place=_FOLDER,
        names={"train": _TRAIN, "test": _TEST},
        others={"train": f" with train_y.bin and {_NAMES}", "test": f" with test_y.bin and {_NAMES}"},
        read=_read,
        # All but the unlabelled images.
        fetch=partial(fetch_members, "STL10", _FOLDER, {*_TRAIN, *_TEST}),
    ),
)
"""Objects from ImageNet: 5,000 labelled images of 96x96 pixels to train on, 8,000 to test on."""
