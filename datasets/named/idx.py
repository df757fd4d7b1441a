"""Grey images in the four IDX files that MNIST and its successors come in."""

import gzip
import shutil
import tempfile
import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ..store.contents import ArrayContents
from .named import Found

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from .named import Part

_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IdxFiles:
    """`DIR/NAME/raw/train-*` and `t10k-*`, unpacked or as they are downloaded, with `.gz`; see `named.Official`.

    Attributes:
        name: torchvision's name for the data set, and for its folder.
        classes: Names of the classes.
    """

    name: str
    classes: tuple[str, ...]

    def folder(self, data_dir: "Path") -> "Path":
        """Where the files lie, see `Official.folder`."""
        return data_dir / self.name / "raw"

    def expected(self, data_dir: "Path", part: "Part") -> str:
        """Images and labels, see `Official.expected`."""
        images, labels = _FILES[part]
        return f"{str(self.folder(data_dir) / images)!r} with {labels} (.gz will do)"

    def is_there(self, data_dir: "Path", part: "Part") -> bool:
        """Whether images and labels are there, see `Official.is_there`."""
        return len(self._files(data_dir, part)) == len(_FILES[part])

    def find(self, data_dir: "Path", part: "Part") -> Found | None:
        """Images and labels, unpacked or not, see `Official.find`."""
        if not self.is_there(data_dir, part):
            return None
        images, labels = self._files(data_dir, part)
        return Found(files=(images, labels), read=partial(_read, images, labels, self.classes))

    def _files(self, data_dir: "Path", part: "Part") -> "list[Path]":
        folder = self.folder(data_dir)
        either = ((folder / name, folder / f"{name}.gz") for name in _FILES[part])
        found = (next((file for file in files if file.is_file()), None) for files in either)
        return [file for file in found if file is not None]

    def fetch(self, data_dir: "Path") -> None:
        """Fetch all four files through torchvision, see `Official.fetch`."""
        from .. import torchvision_compat

        getattr(torchvision_compat, self.name)(data_dir, download=True)


def _read(images_file: "Path", labels_file: "Path", classes: tuple[str, ...]) -> ArrayContents:
    from ..torchvision_compat import read_image_file, read_label_file

    images = _read_file(images_file, read_image_file).astype(np.uint8)[:, np.newaxis]
    labels = _read_file(labels_file, read_label_file).astype(np.int64)
    if len(images) != len(labels):
        raise DataError(f"{str(images_file)!r} has {len(images)} images, but {str(labels_file)!r} {len(labels)} labels")
    if len(labels) == 0 or labels.max() >= len(classes):
        raise DataError(f"{str(labels_file)!r} must have labels from 0 to {len(classes) - 1}, and at least one")
    return ArrayContents(images=images, labels=labels, classes=classes)


def _read_file(file: "Path", reader: "Callable[[str], torch.Tensor]") -> "np.ndarray":
    """Read a file with one of torchvision's readers, which want the name of an unpacked file."""
    try:
        if file.suffix != ".gz":
            return reader(str(file)).numpy()
        with tempfile.NamedTemporaryFile() as unpacked:
            with gzip.open(file) as packed:
                shutil.copyfileobj(packed, unpacked)
            unpacked.flush()
            return reader(unpacked.name).numpy()
    except (AssertionError, KeyError, RuntimeError, TypeError, ValueError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{str(file)!r} is damaged, it cannot be read as an IDX file: {error}") from error
