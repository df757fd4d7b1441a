"""Set test images aside in a folder that has none: a fifth, stratified and by group, fixed by seed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, listed
from ..store import class_counts, renumbered, split_parts, withhold_test
from .folder_files import FolderFiles, all_files
from .test_list import divided, divided_by, groups_apart

_FEWEST = 5  # images of a class: three to train on, one to validate on, one to test on


def split_off_test(folder: Path, group_pattern: str | None = None) -> tuple[str, ...]:
    """Choose a fifth of a folder's images to test on: of every class, of train and val alike, whole groups.

    Nothing is written; `test_list.write_test_list` takes what comes back: sorted paths in the folder, with `/`.

    Raises:
        DataError: a class is too small, or the group pattern does not fit.
    """
    files = all_files(folder)
    _check_counts(files)
    test: list[int] = _withheld(files, groups_apart(files, None, group_pattern)).tolist()
    return tuple(sorted(files.paths[index] for index in test))


def search_parts(
    folder: Path, paths: Sequence[str] | None, *, validation: float, group_pattern: str | None = None
) -> dict[str, dict[str, int]]:
    """Split a folder as `prepare` will for a search, but from names alone.

    Args:
        folder: of images.
        paths: what is to be on its list of test images; None for a folder that has a test part.
        validation: share of the training part to validate on, where the folder has no validation part.
        group_pattern: which images must stay together.

    Returns:
        "train" and "validation": name of each class to number of images.

    Raises:
        DataError: a class would be missing in a part, or a group would be in two.
    """
    files = all_files(folder)
    kept, sealed = divided(files) if paths is None else divided_by(files, paths)
    groups = groups_apart(kept, sealed, group_pattern)
    parts = split_parts(
        kept.labels, kept.classes, kept.validation_start, validation=validation, split_seed=0, groups=groups
    )
    counts = [class_counts(kept.labels[part], kept.classes) for part in parts]
    return dict(zip(("train", "validation"), counts, strict=True))


def _check_counts(files: FolderFiles) -> None:
    counts = class_counts(files.labels, files.classes)
    few = [f"{name!r} has {count}" for name, count in counts.items() if count < _FEWEST]
    if few:
        raise DataError(
            f"every class in {str(files.root)!r} must have at least {_FEWEST} images, to be trained, validated and "
            f"tested on, but {listed(few)}: add images of it, or remove its folder"
        )


def _withheld(files: FolderFiles, groups: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Return the indices, int64 [n], of a fifth of every class, in each part if the parts are large enough."""
    start = files.validation_start
    if start is not None:
        strata = files.labels.copy()
        strata[start:] += len(files.classes)
        names = [f"{name} of {part}" for part in ("train", "val") for name in files.classes]
        try:
            return withhold_test(strata, names, groups)[1]
        except DataError:  # a val with an image or two of a class: its whole class decides then
            pass
    return withhold_test(files.labels, files.classes, None if groups is None else renumbered(groups))[1]
