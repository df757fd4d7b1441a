"""The data sets that can be named."""

from pathlib import Path
from typing import TYPE_CHECKING

from .digits import Digits
from .errors import DataError, did_you_mean
from .fashion_mnist import FashionMnist
from .image_folder import ImageFolder

if TYPE_CHECKING:
    from .contents import Dataset, Source
    from .values import DatasetInfo

DATASETS: "dict[str, Dataset]" = {
    "digits": Digits(),
    "fashion_mnist": FashionMnist(),
    "image_folder": ImageFolder(),
}
"""What may stand before the colon of a name, or alone."""


def dataset_infos() -> "tuple[DatasetInfo, ...]":
    """What is known about every data set, without reading any.

    >>> [info.name for info in dataset_infos()]
    ['digits', 'fashion_mnist', 'image_folder:PATH']
    """
    return tuple(dataset.info for dataset in DATASETS.values())


def locate(name: str, data_dir: Path) -> Path | None:
    """Where the files of a data set lie, or None if they are not there; they are not read.

    Raises:
        DataError: There is no data set of this name.
    """
    dataset, argument = _resolve(name)
    return dataset.locate(argument, data_dir)


def find(name: str, data_dir: Path) -> "Source":
    """Find the files of a data set.

    Raises:
        DataError: There is no data set of this name, or its files are not there.
    """
    dataset, argument = _resolve(name)
    return dataset.find(argument, data_dir)


def download(name: str, data_dir: Path) -> Path:
    """Fetch a data set into `data_dir` unless it is there, and say where it lies.

    Raises:
        DataError: There is no data set of this name, or it cannot be fetched.
    """
    dataset, argument = _resolve(name)
    return dataset.download(argument, data_dir)


def _resolve(name: str) -> "tuple[Dataset, str]":
    key, colon, argument = name.partition(":")
    dataset = DATASETS.get(key)
    if dataset is None:
        known = ", ".join(info.name for info in dataset_infos())
        raise DataError(f"there is no data set {name!r}{did_you_mean(key, DATASETS)}; known are {known}")
    takes_argument = ":" in dataset.info.name
    if takes_argument and not argument:
        raise DataError(f"{key!r} needs more than its name: {dataset.info.name}")
    if colon and not takes_argument:
        raise DataError(f"nothing may follow the name {key!r}, but got {name!r}")
    return dataset, argument
