"""Splits that keep every class's share, and the statistics of what is trained on."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .groups import split_off_groups

# Fixed forever: another value would give yesterday's test images to today's search.
_TEST_SHARE = 0.2
_TEST_SEED = 1729

_CHUNK = 4096  # images counted at once: bincount needs 8 bytes for every pixel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Which images are trained on and which are validated on.

    Attributes:
        train: int64 [n_train], sorted indices.
        validation: int64 [n_validation], sorted indices.
        mean: float64 [C], per channel over the training images, in [0, 1].
        std: float64 [C], per channel over the training images, in [0, 0.5].
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @property
    def digest(self) -> str:
        """SHA-256 over the indices of both parts, in hexadecimal."""
        sha = hashlib.sha256(f"{len(self.train)},{len(self.validation)};".encode())
        sha.update(self.train.astype("<i8").tobytes())
        sha.update(self.validation.astype("<i8").tobytes())
        return sha.hexdigest()


def split_off(
    labels: NDArray[np.int64], classes: Sequence[str], *, share: float, seed: int, part: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split off a share of all images at random, so that every class keeps its proportion to within one image.

    Args:
        labels: int64 [N], indices into `classes`.
        classes: names of the classes, for messages.
        share: how much to split off, in (0, 1).
        seed: what the random choice depends on, in [0, 2**32).
        part: what the images are split off for, for messages.

    Returns:
        Sorted indices of what stays and of what is split off, int64, disjoint and together complete.
    """
    # Takes seconds to import, and data sets in the cache do not need it.
    import sklearn.model_selection  # pyright: ignore[reportMissingTypeStubs]

    counts = np.bincount(labels, minlength=len(classes))
    smallest = int(counts.argmin())
    fewest = int(counts[smallest])
    error = DataError(
        f"every class must have images on both sides when {share:g} of {len(labels)} images are split off for {part}, "
        f"but class {classes[smallest]!r} has {fewest} image{'' if fewest == 1 else 's'} in all; "
        f"{math.ceil(1 / min(share, 1 - share)) + 1} in every class would do"
    )
    taken = math.ceil(share * len(labels))
    if fewest < 2 or not len(classes) <= taken <= len(labels) - len(classes):  # noqa: PLR2004  one for each side
        raise error
    split = cast("Any", sklearn.model_selection.train_test_split)
    parts: tuple[NDArray[np.int64], NDArray[np.int64]] = split(
        np.arange(len(labels), dtype=np.int64), test_size=share, random_state=seed, stratify=labels
    )
    if any(np.bincount(labels[part], minlength=len(classes)).min() == 0 for part in parts):
        raise error
    return np.sort(parts[0]), np.sort(parts[1])


def class_counts(labels: NDArray[np.int64], classes: Sequence[str]) -> dict[str, int]:
    """Count the images of every class.

    >>> class_counts(np.array([0, 2, 2]), ["ant", "bee", "wasp"])
    {'ant': 1, 'bee': 0, 'wasp': 2}
    """
    return dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))


def withhold_test(
    labels: NDArray[np.int64], classes: Sequence[str], groups: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Withhold a fifth of a data set that has no test part of its own: always the same images, whatever the seed.

    Arguments and results are those of `split_parts`; the order of the labels must not change.

    Raises:
        DataError: a class is too small for it.
    """
    if groups is not None:
        return split_off_groups(labels, groups, classes, share=_TEST_SHARE, seed=_TEST_SEED, part="the test part")
    return split_off(labels, classes, share=_TEST_SHARE, seed=_TEST_SEED, part="the test part")


def split_parts(
    labels: NDArray[np.int64],
    classes: Sequence[str],
    validation_start: int | None,
    *,
    validation: float,
    split_seed: int,
    groups: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return indices to train and to validate on: the official parts if they exist, a stratified split otherwise.

    Groups, where there are any, are kept whole; that official parts share none is for their reader to check.

    Raises:
        DataError: a class is too small, or the share.
    """
    if validation_start is not None:
        indices = np.arange(len(labels), dtype=np.int64)
        return indices[:validation_start], indices[validation_start:]
    if groups is not None:
        return split_off_groups(labels, groups, classes, share=validation, seed=split_seed, part="validation")
    return split_off(labels, classes, share=validation, seed=split_seed, part="validation")


def channel_statistics(
    images: NDArray[np.uint8], indices: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation of every channel, exact up to the last rounding, because integers are counted.

    Args:
        images: uint8 [N, C, H, W].
        indices: int64 [n], the images to look at.

    Returns:
        Two arrays float64 [C], in units of the whole range of a pixel: 0 is black, 1 is white.
    """
    channels = images.shape[1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(indices), _CHUNK):
        chunk = images[indices[start : start + _CHUNK]]
        for channel in range(channels):
            counts[channel] += np.bincount(chunk[:, channel].reshape(-1), minlength=256)
    moments = [_moments([int(count) for count in row]) for row in counts]
    return np.array([mean for mean, _ in moments]), np.array([std for _, std in moments])


def _moments(counts: list[int]) -> tuple[float, float]:
    """Return mean and deviation of pixels in [0, 1] from how often each of the values 0 to 255 occurs."""
    pixels = sum(counts)
    total = sum(value * count for value, count in enumerate(counts))
    squares = sum(value * value * count for value, count in enumerate(counts))
    return total / pixels / 255, math.sqrt(pixels * squares - total * total) / pixels / 255
