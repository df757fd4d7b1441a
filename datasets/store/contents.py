"""What a data set contains, ready to be written to the cache block by block."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .decoding import all_cores, mapped, square
from .groups import renumbered
from .split import withhold_test
from .values import DatasetInfo, Layout, Progress

_BLOCK = 1024  # images per block: enough to amortise, little to hold in memory


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contents(ABC):
    """Labels of a part of a data set, and a way to its images.

    Attributes:
        labels: int64 [N], indices into `classes`.
        groups: int64 [N] from 0 on, equal for images that belong together; None without groups.
        validation_start: images from here on are the official validation part; None if there is none.
    """

    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    groups: NDArray[np.int64] | None = None
    validation_start: int | None = None

    @property
    @abstractmethod
    def sizes(self) -> NDArray[np.int64]:
        """int64 [N, 2], height and width of the images as they come."""

    @abstractmethod
    def shape(self, image_size: int | None) -> tuple[int, int, int]:
        """Return (C, H, W) of every image at a width and height in pixels, or as they come.

        Raises:
            DataError: `image_size` is None and the images differ in size.
        """

    @abstractmethod
    def blocks(self, image_size: int | None, progress: Progress | None) -> Iterator[NDArray[np.uint8]]:
        """Yield blocks of images, uint8 [n, C, H, W], in the order of the labels.

        Raises:
            DataError: images cannot be read. It is raised after the last block and names all of them.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A data set that was found on disk, but not read yet.

    Attributes:
        cache_name: start of the name of its cache folders; letters, digits, `_`, `-` and `.` alone.
        read: reads labels, and images where that is cheap; raises DataError for broken files.
    """

    cache_name: str
    layout: Layout
    stamp: str
    read: Callable[[], Contents]


class Dataset(Protocol):
    """A data set that can be named."""

    @property
    def info(self) -> DatasetInfo:
        """What is known without reading it."""
        ...

    def locate(self, data_dir: Path) -> Path | None:
        """Return where it lies, or None."""
        ...

    def find(self, data_dir: Path, group_pattern: str | None) -> Source:
        """Find the files of the part that a search may see.

        Args:
            data_dir: folder that named data sets lie in.
            group_pattern: which images belong together, see `groups.groups_of`; None for the data set's own groups.

        Raises:
            DataError: they are not there, cannot be a data set, or have no names that the pattern could match.
        """
        ...

    def find_test(self, data_dir: Path, group_pattern: str | None) -> Source:
        """Find the files of the test part; `sealed` alone may ask.

        Raises:
            NoTestPartError: the data set is there without a test part.
            DataError: see `find`.
        """
        ...

    def download(self, data_dir: Path) -> Path:
        """Download it unless it is there, and return where it lies.

        Raises:
            DataError: it cannot be downloaded.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArrayContents(Contents):
    """Small images that are read at once.

    Attributes:
        images: uint8 [N, C, H, W].
    """

    images: NDArray[np.uint8]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """int64 [N, 2], see `Contents.sizes`."""
        return np.tile(np.array(self.images.shape[2:], dtype=np.int64), (len(self.images), 1))

    def shape(self, image_size: int | None) -> tuple[int, int, int]:
        """Return (C, H, W), see `Contents.shape`."""
        _, channels, height, width = self.images.shape
        return (channels, height, width) if image_size is None else (channels, image_size, image_size)

    def blocks(self, image_size: int | None, progress: Progress | None) -> Iterator[NDArray[np.uint8]]:
        """Yield blocks of images, see `Contents.blocks`."""
        keep = image_size is None or self.images.shape[2:] == (image_size, image_size)
        resize = partial(_resized, image_size=image_size or 0)
        with all_cores() as pool:
            for start in range(0, len(self.images), _BLOCK):
                block = self.images[start : start + _BLOCK]
                yield block if keep else np.stack(mapped(pool, resize, list(block)))
                if progress is not None:
                    progress(start + len(block), len(self.images))

    def withheld(self, *, test: bool) -> "ArrayContents":
        """Return the fifth that `withhold_test` withholds for tests, or the rest."""
        kept, withheld = withhold_test(self.labels, self.classes, self.groups)
        chosen = withheld if test else kept
        return ArrayContents(
            images=self.images[chosen],
            labels=self.labels[chosen],
            classes=self.classes,
            groups=None if self.groups is None else renumbered(self.groups[chosen]),
        )


def _resized(image: NDArray[np.uint8], *, image_size: int) -> NDArray[np.uint8]:
    """Resize one image [C, h, w] channel by channel to [C, image_size, image_size]."""
    return np.stack([np.asarray(square(Image.fromarray(np.ascontiguousarray(c)), image_size)) for c in image])
