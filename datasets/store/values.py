"""The values that other rooms get."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Layout = Literal["embedded", "torchvision", "class folders", "own code"]
"""How a data set is stored: in a package, as torchvision unpacks it, one folder per class, or in user code."""

Progress = Callable[[int, int], None]
"""Called with (decoded, total) image counts, in the thread that called `prepare`."""


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
