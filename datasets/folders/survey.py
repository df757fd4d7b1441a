"""Survey a folder of images before anything is trained on it: names, headers, and whether the files can be read."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, NoTestPartError, listed
from ..store import (
    Header,
    Unreadable,
    all_cores,
    class_counts,
    mapped,
    pillow_warnings_settled,
    read_header,
    stamp_files,
)
from .folder_files import FolderFiles, all_files, has_parts, sealed_files
from .image_files import undecodable
from .name_groups import SuggestedGroups, suggest_groups
from .test_list import divided

Size = tuple[int, int]
"""(height, width) in pixels, upright."""

_LOOKED_AT = 2000  # images: their headers tell sizes and colours well enough, and take 2 s where they are photographs
_DECODED_BYTES = 64 * 2**20  # of their files, which takes about a second: a broken one shows only when it is decoded
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSurvey:
    """What a folder of images holds.

    Attributes:
        has_parts: its images lie in `train/CLASS/*` and not in `CLASS/*`.
        parts: "train", "validation" where the folder brings such a part, and "test" where images are set aside already:
            name of each class to number of images.
        sealed: how test images are set aside: in a folder `test`, on a list, or not yet.
        looked_at: of how many images the headers were read; all of them, or a random sample. None of the test part.
        smallest: of these, the smallest height and the smallest width.
        median: the same for the medians.
        largest: the same for the largest.
        short_side: median of their shorter sides, in pixels.
        grey: None of them has colour.
        groups: what names suggest; None where they suggest nothing.
    """

    folder: Path
    has_parts: bool
    parts: Mapping[str, Mapping[str, int]]
    sealed: Literal["folder", "list"] | None
    looked_at: int
    smallest: Size
    median: Size
    largest: Size
    short_side: int
    grey: bool
    groups: SuggestedGroups | None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(self.parts["train"])

    def images(self, *parts: str) -> int:
        """Return how many images some parts have together; all parts if none is named."""
        return sum(sum(self.parts[part].values()) for part in parts or self.parts if part in self.parts)

    def with_test(self, paths: Sequence[str]) -> "FolderSurvey":
        """Return the survey as it will be with these images, see `split_off_test`, on the folder's list."""
        counts = {part: Counter(self.parts[part]) for part in self.parts}
        test = Counter(dict.fromkeys(self.classes, 0))
        for path in paths:
            first, second, *_ = path.split("/")
            name = second if self.has_parts else first
            counts["validation" if self.has_parts and first != "train" else "train"][name] -= 1
            test[name] += 1
        parts = {part: dict(counted) for part, counted in [*counts.items(), ("test", test)]}
        return replace(self, parts=parts, sealed="list")


def survey_folder(folder: Path) -> FolderSurvey:
    """Look at a folder of images: at the names of all of them, at the headers of 2,000 at most, at pixels of some.

    Files that are set aside for tests already are counted and not opened.

    Raises:
        DataError: the folder cannot be trained on as it is; the message says what to do.
    """
    files, on_list = divided(all_files(folder))
    try:
        test = on_list or sealed_files(folder, files.classes)
    except NoTestPartError:
        test = None
    try:
        stamp_files(folder, files.files)
    except DataError as error:
        raise DataError(f"{error}; remove them") from None
    looked_at = _sample(files.files)
    headers = _headers(files, looked_at)
    sizes = np.array([header.size for header in headers], dtype=np.int64)
    start = files.validation_start
    parts = {"train": class_counts(files.labels[:start], files.classes)}
    if start is not None:
        parts["validation"] = class_counts(files.labels[start:], files.classes)
    if test is not None:
        parts["test"] = class_counts(test.labels, test.classes)
    return FolderSurvey(
        folder=folder,
        has_parts=has_parts(folder),
        parts=parts,
        sealed=None if test is None else "folder" if on_list is None else "list",
        looked_at=len(headers),
        smallest=_size(sizes.min(axis=0)),
        median=_size(np.median(sizes, axis=0)),
        largest=_size(sizes.max(axis=0)),
        short_side=int(np.median(sizes.min(axis=1))),
        grey=all(header.grey for header in headers),
        groups=suggest_groups(files.names),
    )


def _sample(files: Sequence[Path]) -> list[Path]:
    """Return all files, or a sample of those to look at, always the same ones of the same folder."""
    if len(files) <= _LOOKED_AT:
        return list(files)
    chosen: list[int] = np.random.default_rng(_SEED).choice(len(files), _LOOKED_AT, replace=False).tolist()
    return [files[index] for index in sorted(chosen)]


def _headers(files: FolderFiles, looked_at: Sequence[Path]) -> list[Header]:
    with pillow_warnings_settled(), all_cores() as pool:
        headers = mapped(pool, read_header, looked_at)
        undecoded = undecodable(pool, _first(looked_at))
    unread = {
        file: header.reason for file, header in zip(looked_at, headers, strict=True) if isinstance(header, Unreadable)
    }
    broken = {str(file.relative_to(files.root)): reason for file, reason in (unread | undecoded).items()}
    if broken:
        total = len(files.files)
        where = f"{total} images" if total == len(looked_at) else f"the {len(looked_at)} images looked at, of {total},"
        named = [f"{name} ({reason})" for name, reason in sorted(broken.items())]
        raise DataError(
            f"{len(broken)} of {where} in {str(files.root)!r} cannot be read: {listed(named)}; remove or replace them"
        )
    return [header for header in headers if not isinstance(header, Unreadable)]


def _first(files: Sequence[Path]) -> Sequence[Path]:
    """Return the first files, as many as are decoded: one that was cut off shows only then."""
    ends = np.cumsum([file.stat().st_size for file in files])
    return files[: int(np.searchsorted(ends, _DECODED_BYTES, side="right"))]


def _size(values: NDArray[Any]) -> Size:
    height, width = (math.floor(value) for value in values.tolist())
    return height, width
