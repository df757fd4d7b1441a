"""What a data set holds, in numbers: for people, before they search."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, NoTestPartError
from ..store import DataRequest, Layout, Progress, SearchData, class_counts, read_meta
from .preparation import open_prepared, prepare
from .sealed import TestData, open_test


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStatistics:
    """How many images a part has, in all and by class."""

    images: int
    per_class: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStatistics:
    """How many groups, such as tracks of one object, the images of each part belong to; `shared` has both."""

    train: int
    validation: int
    shared: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetStatistics:
    """What a data set holds; statistics and digests are those of `SearchData`.

    Attributes:
        input_shape: (C, H, W) of the images that a search gets, after resizing.
        original_sizes: (height, width) in pixels as they come: smallest, median and largest of each, without the test
            part.
        splits: train, validation and test; None for a test part that is not there.
        groups: of the images that a search gets; None where there are none.
        duplicates: images to validate or test on whose pixels also occur in a part before theirs (train, validation,
            test); pixels as a search gets them, after resizing.
        duplicates_between: the same for each pair of parts: images of the second that also occur in the first.
    """

    dataset: str
    layout: Layout
    classes: tuple[str, ...]
    input_shape: tuple[int, int, int]
    original_sizes: dict[str, tuple[int, int]]
    splits: dict[str, PartStatistics | None]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    groups: GroupStatistics | None
    duplicates: int
    duplicates_between: dict[str, int]
    digest: str
    split_digest: str


def dataset_statistics(request: DataRequest, progress: Progress | None = None) -> DatasetStatistics:
    """Prepare a data set with its test part, and count.

    Raises:
        DataError: something is wrong with the name or the files.
    """
    prepared = prepare(request, progress)
    data, meta = open_prepared(prepared), read_meta(prepared.folder)
    if meta is None:
        raise DataError(
            f"the cache folder {str(prepared.folder)!r} of {request.name!r} was changed meanwhile: try again"
        )
    try:
        test = open_test(request, progress)
    except NoTestPartError:
        test = None
    between, duplicates = _duplicates(data, test)
    return DatasetStatistics(
        dataset=request.name,
        layout=prepared.layout,
        classes=data.classes,
        input_shape=prepared.input_shape,
        original_sizes=dict(zip(("smallest", "median", "largest"), meta.original_sizes, strict=True)),
        splits={
            "train": _counted(data.labels[data.train], data.classes),
            "validation": _counted(data.labels[data.validation], data.classes),
            "test": None if test is None else _counted(test.labels, data.classes),
        },
        mean=data.mean,
        std=data.std,
        groups=_group_statistics(data),
        duplicates=duplicates,
        duplicates_between=between,
        digest=data.digest,
        split_digest=data.split_digest,
    )


def _counted(labels: NDArray[np.int64], classes: tuple[str, ...]) -> PartStatistics:
    return PartStatistics(images=len(labels), per_class=class_counts(labels, classes))


def _group_statistics(data: SearchData) -> GroupStatistics | None:
    if data.groups is None:
        return None
    train, validation = np.unique(data.groups[data.train]), np.unique(data.groups[data.validation])
    shared = np.intersect1d(train, validation)
    return GroupStatistics(train=len(train), validation=len(validation), shared=len(shared))


def _duplicates(data: SearchData, test: TestData | None) -> tuple[dict[str, int], int]:
    """Count duplicates between each pair of parts, and in all."""
    train, validation = _hashes(data.images, data.train), _hashes(data.images, data.validation)
    tested = [] if test is None else _hashes(test.images, np.arange(len(test.images)))
    in_train, in_validation = set(train), set(validation)
    between = {"train_validation": sum(value in in_train for value in validation)}
    if test is not None:
        between["train_test"] = sum(value in in_train for value in tested)
        between["validation_test"] = sum(value in in_validation for value in tested)
    before = in_train | in_validation
    return between, between["train_validation"] + sum(value in before for value in tested)


def _hashes(images: NDArray[np.uint8], indices: NDArray[np.int64]) -> list[bytes]:
    return [hashlib.blake2b(images[index].tobytes(), digest_size=16).digest() for index in indices.tolist()]
