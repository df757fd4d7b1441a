"""CIFAR-10."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ..store.contents import ArrayContents
from ..store.values import DatasetInfo
from .cifar_pickles import read_batch
from .named import Found, NamedDataset, fetch_members

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .named import Part

_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_FOLDER = "cifar-10-batches-py"
_BATCHES = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}


class Cifar10Files:
    """`DIR/cifar-10-batches-py/data_batch_{1..5}` and `test_batch`: pickle files, of which nothing is run."""

    def folder(self, data_dir: "Path") -> "Path":
        """Where the files lie, see `Official.folder`."""
        return data_dir / _FOLDER

    def expected(self, data_dir: "Path", part: "Part") -> str:
        """The batches, see `Official.expected`."""
        first, *others = _BATCHES[part]
        more = f" to {others[-1]}" if others else ""
        return f"{str(self.folder(data_dir) / first)!r}{more}"

    def is_there(self, data_dir: "Path", part: "Part") -> bool:
        """Whether there is any batch, see `Official.is_there`."""
        return any((self.folder(data_dir) / name).is_file() for name in _BATCHES[part])

    def find(self, data_dir: "Path", part: "Part") -> Found | None:
        """All batches, see `Official.find`."""
        if not self.is_there(data_dir, part):
            return None
        files = [self.folder(data_dir) / name for name in _BATCHES[part]]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise DataError(f"{str(self.folder(data_dir))!r} lacks {', '.join(missing)}")
        return Found(files=files, read=partial(_read, files))

    def fetch(self, data_dir: "Path") -> None:
        """Fetch and unpack the archive, see `Official.fetch`; torchvision's own way would load the pickles."""
        from ..torchvision_compat import CIFAR10 as ARCHIVE

        names = [*_BATCHES["train"], *_BATCHES["test"], "batches.meta"]
        fetch_members(ARCHIVE.url, ARCHIVE.tgz_md5, data_dir, [f"{_FOLDER}/{name}" for name in names])


def _read(files: "Sequence[Path]") -> ArrayContents:
    batches = [read_batch(file, classes=len(_CLASSES)) for file in files]
    return ArrayContents(
        images=np.concatenate([images for images, _ in batches]),
        labels=np.concatenate([labels for _, labels in batches]),
        classes=_CLASSES,
    )


CIFAR10 = NamedDataset(
    info=DatasetInfo(
        name="cifar10",
        summary="animals and vehicles, 50,000 images to train on",
        channels=3,
        image_size=32,
        classes=len(_CLASSES),
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        embedded=False,
        downloadable=True,
    ),
    official=Cifar10Files(),
)
"""Objects: 50,000 images of 32x32 pixels to train on, 10,000 to test on."""
