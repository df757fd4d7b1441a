"""The values that other rooms get."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Layout = Literal["embedded", "torchvision", "class folders", "own code"]
"""How a data set is stored: in a package, as torchvision unpacks it, one folder per class, or in user code."""

Progress = Callable[[int, int], None]
"""Called with (decoded, total) image counts, in the thread that called `prepare`."""

_LARGEST_IMAGE = 4096  # pixels; far beyond what anyone trains on, and a typing error's array would fill the disk


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """What is known about a data set without reading it; None where only the files can tell.

    Attributes:
        name: what to write in a study, for example `fashion_mnist` or `image_folder:PATH`.
        summary: one line for people.
        channels: 1 for grey, 3 for RGB.
        image_size: width and height of the images as published, in pixels; None where they differ.
        classes: how many classes there are.
        source: paper or address.
        embedded: it comes with an installed package and needs no data folder.
        usual_size: what studies resize it to, in pixels, where its images differ in size.
    """

    name: str
    summary: str
    source: str
    channels: int | None = None
    image_size: int | None = None
    classes: int | None = None
    embedded: bool = False
    usual_size: int | None = None


@dataclass(frozen=True, slots=True)
class DataRequest:
    """Which images are wanted, how, and where they lie.

    Attributes:
        name: as in `dataset_infos`, for example `digits`, `gtsrb` or `image_folder:PATH`.
        data_dir: folder that named data sets lie in.
        cache_dir: folder for decoded images; created if needed.
        image_size: width and height in pixels to resize to, in [1, 4096]; None for images as they come.
        validation: share of the training part to validate on, in (0, 1). It is ignored, like `split_seed`, where the
            data set has an official validation part.
        split_seed: which images these are, in [0, 2**32).
        group_pattern: a regular expression that says which images in class folders belong together and must not be
            split up: it is searched in `CLASS/FILE`, and its first group, or the whole match, is equal for them. None
            for the groups that the data set brings, if any.

    Raises:
        DataError: a value lies outside of its range.
    """

    name: str
    _: KW_ONLY
    data_dir: Path
    cache_dir: Path
    image_size: int | None = None
    validation: float = 0.2
    split_seed: int = 0
    group_pattern: str | None = None

    def __post_init__(self) -> None:
        if self.image_size is not None and not 1 <= self.image_size <= _LARGEST_IMAGE:
            raise DataError(
                f"image_size must lie in [1, {_LARGEST_IMAGE}] pixels or be None, but got {self.image_size}"
            )
        if not 0 < self.validation < 1:
            raise DataError(f"validation must lie in (0, 1), but got {self.validation}")
        if not 0 <= self.split_seed < 2**32:
            raise DataError(f"split_seed must lie in [0, 2**32), but got {self.split_seed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A data set that is decoded and split in the cache: small and picklable, to be sent to workers.

    Names, statistics and digests are those of `SearchData`.

    Attributes:
        layout: which of the possible layouts its files were found in.
        input_shape: (C, H, W) of every image.
        folder: the cache folder with images and labels.
        split: the file in it with the indices of both parts.
    """

    name: str
    layout: Layout
    classes: tuple[str, ...]
    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train_images: int
    validation_images: int
    digest: str
    split_digest: str
    folder: Path
    split: Path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchData:
    """All that a search may see of a data set; images of the test part are not among it.

    Every array is read-only.

    Attributes:
        images: uint8 [N, C, H, W], mapped into memory from the cache and so shared by all processes of a machine.
        labels: int64 [N], indices into `classes`.
        train: int64 [n_train], sorted indices into `images`.
        validation: int64 [n_validation], sorted indices into `images`, disjoint from `train`.
        mean: per channel, in [0, 1], over the training images alone.
        std: per channel, in [0, 0.5], over the training images alone; 0 for a channel that never changes.
        digest: SHA-256 over class names, images and labels, in hexadecimal.
        split_digest: SHA-256 over the indices of both parts, in hexadecimal.
        groups: int64 [N], equal for images of one group, none of which is in both parts; None without groups.
    """

    images: "NDArray[np.uint8]"
    labels: "NDArray[np.int64]"
    train: "NDArray[np.int64]"
    validation: "NDArray[np.int64]"
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str
    split_digest: str
    groups: "NDArray[np.int64] | None" = None
