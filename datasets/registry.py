"""The data sets that can be named."""

from pathlib import Path

from ..sources import is_own
from ..sources.errors import did_you_mean, unknown
from .errors import DataError
from .folders import ImageFolder
from .named import CIFAR10, CINIC10, FASHION_MNIST, GTSRB, MNIST, STL10, Digits
from .own import OwnDataset
from .store import Dataset, DatasetInfo

DATASETS: dict[str, Dataset | type[ImageFolder]] = {
    "cifar10": CIFAR10,
    "cinic10": CINIC10,
    "digits": Digits(),
    "fashion_mnist": FASHION_MNIST,
    "gtsrb": GTSRB,
    "mnist": MNIST,
    "stl10": STL10,
    "image_folder": ImageFolder,
}
"""Data sets by name; what takes a path is a class."""


def dataset_infos() -> tuple[DatasetInfo, ...]:
    """Return what is known about every data set, without reading any.

    >>> [info.name for info in dataset_infos()]
    ['cifar10', 'cinic10', 'digits', 'fashion_mnist', 'gtsrb', 'mnist', 'stl10', 'image_folder:PATH']
    """
    return tuple(dataset.info for dataset in DATASETS.values())


def locate(name: str, data_dir: Path) -> Path | None:
    """Return where the files of a data set lie, or None if they are not there; they are not read.

    Raises:
        DataError: there is no data set of this name.
    """
    return resolve(name).locate(data_dir)


def download(name: str, data_dir: Path) -> Path:
    """Download a data set into `data_dir` unless it is there, and return where it lies.

    Raises:
        DataError: there is no data set of this name, or it cannot be downloaded.
    """
    return resolve(name).download(data_dir)


def is_own_dataset(name: str) -> bool:
    """Whether a name is that of a user-defined data set.

    >>> [is_own_dataset(name) for name in ("my_data.py:MyData", "image_folder:photos", "digits")]
    [True, False, False]
    """
    return name.partition(":")[0] not in DATASETS and is_own(name)


def resolve(name: str) -> Dataset:
    """Return the data set of a name."""
    key, colon, path = name.partition(":")
    dataset = DATASETS.get(key)
    if is_own_dataset(name):
        own = OwnDataset(name)
        # What is not there and has nearly the name of a data set is more likely a slip than a module.
        if not did_you_mean(key, DATASETS) or own.locate(Path()) is not None:
            return own
    if dataset is None:
        raise DataError(unknown("data set", key, [*(info.name for info in dataset_infos()), "FILE.py:CLASS"]))
    if isinstance(dataset, type):
        if not path:
            raise DataError(f"{key!r} needs more than its name: {dataset.info.name}")
        return dataset(path)
    if colon:
        raise DataError(f"nothing may follow the name {key!r}, but got {name!r}")
    return dataset
