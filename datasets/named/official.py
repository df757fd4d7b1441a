"""The layouts in which torchvision unpacks data sets: a few files for each part, or a layout of its own."""

import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..store import ArrayContents, Contents, Source, stamp_files

Part = Literal["train", "test"]


class Official(Protocol):
    """The layout in which torchvision unpacks a data set."""

    def folder(self, data_dir: Path) -> Path:
        """Return where all its files lie, or would."""
        ...

    def expected(self, data_dir: Path, part: Part) -> str:
        """Say what is looked for, in words that follow 'there is neither'."""
        ...

    def is_there(self, data_dir: Path, part: Part) -> bool:
        """Whether a part is there; looks at no more than it must."""
        ...

    def find(self, data_dir: Path, part: Part, cache_name: str) -> Source | None:
        """Find a part, or None if it is not there; a DataError if some of its files are missing."""
        ...

    def fetch(self, data_dir: Path, /) -> None:
        """Download and unpack all parts.

        Raises:
            OSError: the network fails; also RuntimeError, EOFError and errors of zlib, tarfile and zipfile.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFiles:
    """A layout with a few files for each part in one folder, see `Official`.

    Attributes:
        place: the folder, relative to the data folder.
        names: of each part's files; a file may also be packed, with `.gz` behind its name.
        others: how messages go on after the first file of a part.
        read: reads the files of a part, in their order.
        fetch: downloads and unpacks all parts into a data folder, see `Official.fetch`.
        may_be_partial: one file is enough to recognize a part, and it is an error if others are missing.
    """

    place: str
    names: Mapping[Part, Sequence[str]]
    others: Mapping[Part, str]
    read: Callable[[Sequence[Path]], Contents]
    fetch: Callable[[Path], None]
    may_be_partial: bool = False

    def folder(self, data_dir: Path) -> Path:
        """Return where the files lie, see `Official.folder`."""
        return data_dir / self.place

    def expected(self, data_dir: Path, part: Part) -> str:
        """Name the first file and the others, see `Official.expected`."""
        return f"{str(self.folder(data_dir) / self.names[part][0])!r}{self.others[part]}"

    def is_there(self, data_dir: Path, part: Part) -> bool:
        """Whether the files are there, see `Official.is_there`."""
        files = self._files(data_dir, part)
        return any(files) if self.may_be_partial else all(files)

    def find(self, data_dir: Path, part: Part, cache_name: str) -> Source | None:
        """Find all files of a part, see `Official.find`."""
        if not self.is_there(data_dir, part):
            return None
        found = self._files(data_dir, part)
        missing = [name for name, file in zip(self.names[part], found, strict=True) if file is None]
        if missing:
            raise DataError(f"{str(self.folder(data_dir))!r} lacks {', '.join(missing)}")
        files = [file for file in found if file is not None]
        return official_source(data_dir, files, partial(self.read, files), cache_name)

    def _files(self, data_dir: Path, part: Part) -> list[Path | None]:
        """Return the files of a part, None for those that are missing."""
        folder = self.folder(data_dir)
        either = ((folder / name, folder / f"{name}.gz") for name in self.names[part])
        return [next((file for file in files if file.is_file()), None) for files in either]


def official_source(data_dir: Path, files: Sequence[Path], read: Callable[[], Contents], cache_name: str) -> Source:
    """Return a part in the official layout: all files that are read, and how."""
    return Source(cache_name=cache_name, layout="torchvision", stamp=stamp_files(data_dir, files), read=read)


def labelled(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    files: tuple[Path, Path],
    *,
    first: int = 0,
) -> ArrayContents:
    """Combine images, uint8 [N, C, H, W], and labels, int64 [N] from 0; in the file the lowest label is `first`."""
    images_file, labels_file = map(str, files)
    if len(images) != len(labels):
        raise DataError(f"{images_file!r} has {len(images)} images, but {labels_file!r} {len(labels)} labels")
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= len(classes):
        last = first + len(classes) - 1
        raise DataError(f"{labels_file!r} must have labels from {first} to {last}, and at least one")
    return ArrayContents(images=images, labels=labels, classes=classes)


def fetch_members(published_as: str, folder: str, names: Iterable[str], data_dir: Path) -> None:
    """Download a tar archive unless it is there, and unpack some files of a folder in it, each all at once.

    torchvision's class `published_as` says where the archive is and what its MD5 is. See `Official.fetch`.
    """
    from ...sources.torchvision_compat import datasets

    published = getattr(datasets, published_as)
    archive = data_dir / published.url.rpartition("/")[2]
    datasets.utils.download_url(published.url, str(data_dir), filename=archive.name, md5=published.tgz_md5)
    missing = {f"{folder}/{name}" for name in names}
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.name not in missing or (content := packed.extractfile(member)) is None:
                continue
            file = data_dir / member.name
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_name(f"{file.name}.part")
            with content, unfinished.open("wb") as stream:
                while block := content.read(2**20):
                    stream.write(block)
            unfinished.replace(file)
            missing.discard(member.name)
    if missing:
        raise OSError(f"{str(archive)!r} lacks {', '.join(sorted(missing))}")
