"""What a data set contains, ready to be written to the cache block by block."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from .decoding import all_cores, mapped, square

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from .values import DatasetInfo, Layout, Progress

_BLOCK = 1024  # images per block: enough to amortise, little to hold in memory


class Contents(Protocol):
    """The images of a data set that a search may see, and their labels."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...

    @property
    def labels(self) -> "NDArray[np.int64]":
        """int64 [N], indices into the classes."""
        ...

    @property
    def groups(self) -> "NDArray[np.int64] | None":
        """int64 [N] from 0 on, equal for images that belong together; None where there are no groups."""
        ...

    @property
    def sizes(self) -> "NDArray[np.int64]":
        """int64 [N, 2], height and width of the images as they come."""
        ...

    @property
    def validation_start(self) -> int | None:
        """Images from here on are the official validation part; None where there is none."""
        ...

    def shape(self, image_size: int | None) -> tuple[int, int, int]:
        """(C, H, W) of every image at a width and height in pixels, or as they come.

        Raises:
            DataError: `image_size` is None and the images differ in size.
        """
        ...

    def blocks(self, image_size: int | None, progress: "Progress | None") -> "Iterator[NDArray[np.uint8]]":
        """Blocks of images, uint8 [n, C, H, W], in the order of the labels.

        Raises:
            DataError: Images cannot be read. It is raised after the last block and names all of them.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A data set that was found on disk, but not read yet.

    Attributes:
        cache_name: Start of the name of its cache folders; letters, digits, `_`, `-` and `.` alone.
        layout: How its files lie.
        stamp: Changes when the files change.
        read: Reads labels, and images where that is cheap; raises DataError for broken files.
    """

    cache_name: str
    layout: "Layout"
    stamp: str
    read: "Callable[[], Contents]"


class Dataset(Protocol):
    """A kind of data set: one entry of the registry."""

    @property
    def info(self) -> "DatasetInfo":
        """What is known without reading it."""
        ...

    def locate(self, argument: str, data_dir: "Path") -> "Path | None":
        """Where it lies, or None; `argument` is what follows the colon in its name."""
        ...

    def find(self, argument: str, data_dir: "Path", group_pattern: str | None) -> Source:
        """Find the files of the part that a search may see.

        Args:
            argument: What follows the colon in its name.
            data_dir: Folder that named data sets lie in.
            group_pattern: Which images belong together, see `groups.groups_of`; None for the data set's own groups.

        Raises:
            DataError: They are not there, cannot be a data set, or have no names that the pattern could match.
        """
        ...

    def find_test(self, argument: str, data_dir: "Path", group_pattern: str | None) -> Source:
        """Find the files of the test part; `sealed` alone may ask.

        Raises:
            NoTestPartError: The data set is there without a test part.
            DataError: See `find`.
        """
        ...

    def download(self, argument: str, data_dir: "Path") -> "Path":
        """Fetch it unless it is there, and say where it lies.

        Raises:
            DataError: It cannot be fetched.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArrayContents:
    """Small images that are read at once.

    Attributes:
        images: uint8 [N, C, H, W].
        labels: int64 [N], indices into `classes`.
        classes: Names of the classes.
        validation_start: Images from here on are the official validation part.
        groups: int64 [N] from 0 on, equal for images that belong together.
    """

    images: "NDArray[np.uint8]"
    labels: "NDArray[np.int64]"
    classes: tuple[str, ...]
    validation_start: int | None = None
    groups: "NDArray[np.int64] | None" = None

    @property
    def sizes(self) -> "NDArray[np.int64]":
        """int64 [N, 2], see `Contents.sizes`."""
        return np.tile(np.array(self.images.shape[2:], dtype=np.int64), (len(self.images), 1))

    def shape(self, image_size: int | None) -> tuple[int, int, int]:
        """(C, H, W), see `Contents.shape`."""
        _, channels, height, width = self.images.shape
        return (channels, height, width) if image_size is None else (channels, image_size, image_size)

    def blocks(self, image_size: int | None, progress: "Progress | None") -> "Iterator[NDArray[np.uint8]]":
        """Blocks of images, see `Contents.blocks`."""
        keep = image_size is None or self.images.shape[2:] == (image_size, image_size)
        resize = partial(_resized, image_size=image_size or 0)
        with all_cores() as pool:
            for start in range(0, len(self.images), _BLOCK):
                block = self.images[start : start + _BLOCK]
                yield block if keep else np.stack(mapped(pool, resize, list(block)))
                if progress is not None:
                    progress(start + len(block), len(self.images))


def _resized(image: "NDArray[np.uint8]", *, image_size: int) -> "NDArray[np.uint8]":
    """Resize one image [C, h, w] channel by channel to [C, image_size, image_size]."""
    return np.stack([np.asarray(square(Image.fromarray(np.ascontiguousarray(c)), image_size)) for c in image])
