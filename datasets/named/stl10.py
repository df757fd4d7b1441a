"""STL-10."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ..store.contents import ArrayContents
from ..store.values import DatasetInfo
from .named import Found, NamedDataset, fetch_members

if TYPE_CHECKING:
    from pathlib import Path

    from .named import Part

_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
_FOLDER = "stl10_binary"
_NAMES = "class_names.txt"
_SHAPE = (3, 96, 96)  # of an image, but column by column: its rows are the second axis
_BYTES = 3 * 96 * 96


class Stl10Files:
    """`DIR/stl10_binary/{train,test}_{X,y}.bin` and class_names.txt; the unlabelled images are not needed."""

    def folder(self, data_dir: "Path") -> "Path":
        """Where the files lie, see `Official.folder`."""
        return data_dir / _FOLDER

    def expected(self, data_dir: "Path", part: "Part") -> str:
        """Images and labels, see `Official.expected`."""
        return f"{str(self.folder(data_dir) / f'{part}_X.bin')!r} with {part}_y.bin and {_NAMES}"

    def is_there(self, data_dir: "Path", part: "Part") -> bool:
        """Whether images, labels and names are there, see `Official.is_there`."""
        return all(file.is_file() for file in self._files(data_dir, part))

    def find(self, data_dir: "Path", part: "Part") -> Found | None:
        """Images, labels and names, see `Official.find`."""
        images, labels, names = files = self._files(data_dir, part)
        return Found(files=files, read=partial(_read, images, labels, names)) if self.is_there(data_dir, part) else None

    def _files(self, data_dir: "Path", part: "Part") -> "tuple[Path, Path, Path]":
        folder = self.folder(data_dir)
        return folder / f"{part}_X.bin", folder / f"{part}_y.bin", folder / _NAMES

    def fetch(self, data_dir: "Path") -> None:
        """Fetch the archive, and unpack all but the unlabelled images, see `Official.fetch`."""
        from ..torchvision_compat import STL10 as ARCHIVE

        names = [_NAMES, "train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin"]
        fetch_members(ARCHIVE.url, ARCHIVE.tgz_md5, data_dir, [f"{_FOLDER}/{name}" for name in names])


def _read(images_file: "Path", labels_file: "Path", names_file: "Path") -> ArrayContents:
    """Read labels, and map the images into memory."""
    classes = _read_names(names_file)
    try:
        labels = np.fromfile(labels_file, dtype=np.uint8).astype(np.int64) - 1
        size = images_file.stat().st_size
        if size == 0 or size % _BYTES:
            raise DataError(f"{str(images_file)!r} is damaged: {size} bytes are not whole images of {_BYTES} bytes")
        images = np.memmap(images_file, dtype=np.uint8, mode="r").reshape(-1, *_SHAPE).transpose(0, 1, 3, 2)
    except OSError as error:
        raise DataError(f"{str(images_file)!r} or {labels_file.name} cannot be read: {error.strerror}") from error
    if len(images) != len(labels):
        raise DataError(f"{str(images_file)!r} has {len(images)} images, but {str(labels_file)!r} {len(labels)} labels")
    if labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(f"{str(labels_file)!r} must have labels from 1 to {len(classes)}")
    return ArrayContents(images=images, labels=labels, classes=classes)


def _read_names(file: "Path") -> tuple[str, ...]:
    try:
        names = tuple(file.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{str(file)!r} cannot be read: {error}") from error
    if len(set(names)) != len(_CLASSES) or len(names) != len(_CLASSES):
        raise DataError(f"{str(file)!r} must have {len(_CLASSES)} different names, but has {len(names)}")
    return names


STL10 = NamedDataset(
    info=DatasetInfo(
        name="stl10",
        summary="animals and vehicles, 5,000 labelled images to train on",
        channels=3,
        image_size=96,
        classes=len(_CLASSES),
        source="https://cs.stanford.edu/~acoates/stl10/",
        embedded=False,
        downloadable=True,
    ),
    official=Stl10Files(),
)
"""Objects from ImageNet: 5,000 labelled images of 96x96 pixels to train on, 8,000 to test on."""
