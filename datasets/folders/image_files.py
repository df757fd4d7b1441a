"""Images that lie in one file each: their headers first, their pixels when they are asked for."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, listed
from ..store import (
    Contents,
    Header,
    Progress,
    Unreadable,
    all_cores,
    decoding_problem,
    mapped,
    pillow_warnings_settled,
    read_header,
    read_image,
)

_BLOCK_BYTES = 64 * 2**20  # what is held in memory at once, of decoded images
_HEADERS = 1024  # read at once while a coloured one is looked for


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledFiles:
    """Image files of one part or two, with their labels.

    Attributes:
        root: folder that all files lie below.
        files: [N] image files.
        labels: int64 [N], indices into `classes`.
        validation_start: images from here on are the official validation part.
    """

    root: Path
    files: Sequence[Path]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    validation_start: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileContents(Contents):
    """Images that are decoded when they are asked for.

    Attributes:
        root: folder that all files lie below, for messages.
        headers: [N] what they say about themselves.
        grey: whether they are decoded to one channel.
    """

    root: Path
    files: Sequence[Path]
    headers: Sequence[Header]
    grey: bool

    @property
    def sizes(self) -> NDArray[np.int64]:
        """int64 [N, 2], see `Contents.sizes`."""
        return np.array([header.size for header in self.headers], dtype=np.int64)

    def shape(self, image_size: int | None) -> tuple[int, int, int]:
        """Return (C, H, W), see `Contents.shape`."""
        channels = 1 if self.grey else 3
        if image_size is not None:
            return channels, image_size, image_size
        first = self.headers[0].size
        for file, header in zip(self.files, self.headers, strict=True):
            if header.size != first:
                raise DataError(
                    f"the images in {str(self.root)!r} differ in size, so image_size must be given: "
                    f"{_shown(self.files[0], self.root)} has {first[1]}x{first[0]} pixels, "
                    f"{_shown(file, self.root)} {header.size[1]}x{header.size[0]}"
                )
        return channels, *first

    def blocks(self, image_size: int | None, progress: Progress | None) -> Iterator[NDArray[np.uint8]]:
        """Yield blocks of decoded images, see `Contents.blocks`."""
        shape = self.shape(image_size)
        size = min(1024, max(16, _BLOCK_BYTES // int(np.prod(shape))))
        decode = partial(_decode, shape=shape, grey=self.grey, image_size=image_size)
        broken: dict[Path, str] = {}
        with pillow_warnings_settled(), all_cores() as pool:
            for start in range(0, len(self.files), size):
                files = self.files[start : start + size]
                images = mapped(pool, decode, files)
                broken |= _reasons(files, images)
                if not broken:
                    yield np.stack([image for image in images if not isinstance(image, Unreadable)])
                if progress is not None:
                    progress(start + len(files), len(self.files))
        if broken:
            raise _unreadable(broken, self.root, len(self.files))


def read_files(
    labelled: LabelledFiles, *, grey: bool | None = None, groups: NDArray[np.int64] | None = None
) -> FileContents:
    """Read the headers of image files; None for `grey` decides by them.

    Raises:
        DataError: some cannot be read; all that cannot even be decoded are named then.
    """
    root, files = labelled.root, labelled.files
    with pillow_warnings_settled(), all_cores() as pool:
        headers = mapped(pool, read_header, files)
        readable = [header for header in headers if not isinstance(header, Unreadable)]
        if len(readable) < len(headers):
            # Everything is decoded, once it is known that something is broken, so that all of it is named at once.
            raise _unreadable(undecodable(pool, files), root, len(files))
    return FileContents(
        root=root,
        files=files,
        headers=readable,
        labels=labelled.labels,
        classes=labelled.classes,
        grey=all(header.grey for header in readable) if grey is None else grey,
        groups=groups,
        validation_start=labelled.validation_start,
    )


def undecodable(pool: ThreadPoolExecutor, files: Sequence[Path]) -> dict[Path, str]:
    """Decode files and return the reasons why some of them cannot be decoded."""
    return _reasons(files, mapped(pool, decoding_problem, files))


def all_grey(files: Sequence[Path]) -> bool:
    """Whether none of the images that can be read has colour; their headers alone are read, as far as needed."""
    with pillow_warnings_settled(), all_cores() as pool:
        return not any(
            not isinstance(header, Unreadable) and not header.grey
            for start in range(0, len(files), _HEADERS)
            for header in mapped(pool, read_header, files[start : start + _HEADERS])
        )


def _decode(
    file: Path, *, shape: tuple[int, int, int], grey: bool, image_size: int | None
) -> NDArray[np.uint8] | Unreadable:
    image = read_image(file, grey=grey, image_size=image_size)
    if not isinstance(image, Unreadable) and image.shape != shape:
        return Unreadable("its pixels are not what its header promises")
    return image


def _reasons(files: Sequence[Path], images: Sequence[object]) -> dict[Path, str]:
    pairs = zip(files, images, strict=True)
    return {file: image.reason for file, image in pairs if isinstance(image, Unreadable)}


def _unreadable(reasons: Mapping[Path, str], root: Path, total: int) -> DataError:
    named = [f"{_shown(file, root)} ({reason})" for file, reason in reasons.items()]
    return DataError(f"{len(reasons)} of {total} images in {str(root)!r} cannot be read: {listed(named)}")


def _shown(file: Path, root: Path) -> str:
    return str(file.relative_to(root))
