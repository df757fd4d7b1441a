"""Images in class folders: which files count, and what must hold.

Every folder of a part (`train`, `val`) is a class, and its name the class's name. Images are the files below it, at any
depth, with one of `SUFFIXES` in any case. Everything else is ignored: other files, hidden files and folders, and files
that lie beside the class folders. Symbolic links are followed; of the ways to a folder within a class one counts.
"""

import os
import stat
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .cache import stamp_files
from .contents import Source
from .decoding import Unreadable, all_cores, mapped, pillow_warnings_settled, read_header, read_image
from .errors import DataError, listed
from .split import withhold_test

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from numpy.typing import NDArray

    from .decoding import Header
    from .values import Progress

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"})
"""Those that `torchvision.datasets.ImageFolder` takes."""

_PARTS = frozenset({"train", "val", "valid", "test"})
_ALMOST_PARTS = _PARTS | {"training", "validation", "testing"}
_BLOCK_BYTES = 64 * 2**20  # what is held in memory at once, of decoded images
_FEWEST_CLASSES = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileContents:
    """Images that are decoded when they are asked for; see `Contents`.

    Attributes:
        root: Folder that all files lie below, for messages.
        files: [N] image files.
        headers: [N] what they say about themselves.
        labels: int64 [N], indices into `classes`.
        classes: Names of the classes.
        validation_start: Images from here on are the official validation part.
    """

    root: Path
    files: "Sequence[Path]"
    headers: "Sequence[Header]"
    labels: "NDArray[np.int64]"
    classes: tuple[str, ...]
    validation_start: int | None

    @property
    def grey(self) -> bool:
        """No image has colour."""
        return all(header.grey for header in self.headers)

    def shape(self, image_size: int | None) -> tuple[int, int, int]:
        """(C, H, W), see `Contents.shape`."""
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

    def blocks(self, image_size: int | None, progress: "Progress | None") -> "Iterator[NDArray[np.uint8]]":
        """Blocks of decoded images, see `Contents.blocks`."""
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


def find_parts(folder: Path, *, cache_name: str) -> Source:
    """Find the images of `folder/train`, and of `folder/val` or `folder/valid` where there is one.

    Raises:
        DataError: It is not there, a class has no images or is in one part alone, there are fewer than two classes, or
            a folder or file cannot be read.
    """
    _check_root(folder)
    train = _scan(folder / "train")
    official = next((folder / name for name in ("val", "valid") if (folder / name).is_dir()), None)
    if official is None:
        return _source(folder, train, cache_name=cache_name)
    validation = _scan(official)
    if train.keys() != validation.keys():
        odd = [f"{name!r} is missing in {official.name}" for name in train if name not in validation]
        odd += [f"{name!r} is missing in train" for name in validation if name not in train]
        raise DataError(f"train and {official.name} of {str(folder)!r} must have the same classes: {listed(odd)}")
    return _source(folder, train, validation, cache_name=cache_name)


def find_direct(folder: Path, *, cache_name: str) -> Source:
    """Find the images of `folder/CLASS/*`; the test part is withheld when they are read.

    Raises:
        DataError: It is not there, a class has no images, there are fewer than two classes, or a folder or file cannot
            be read.
    """
    _check_root(folder)
    return _source(folder, _scan(folder), cache_name=cache_name, withhold=True)


def _check_root(folder: Path) -> None:
    """Check that a folder is there, and has no parts under other names than those that are read."""
    if not folder.exists():
        raise DataError(f"there is no folder {str(folder)!r} (current folder: {str(Path.cwd())!r})")
    if not folder.is_dir():
        raise DataError(f"{str(folder)!r} is not a folder")
    names = [entry.name for entry in _folders_in(folder)]
    others = [name for name in names if name.lower() in _ALMOST_PARTS - _PARTS or name.lower() in _PARTS - {name}]
    if others:
        raise DataError(
            f"{str(folder)!r} has {listed(others)}, which would be ignored or taken for a class: "
            "parts are called train, val or valid, and test"
        )
    if "train" not in names and _PARTS.intersection(names):
        raise DataError(f"{str(folder)!r} has {listed(sorted(_PARTS.intersection(names)))} but no train to train on")
    if {"val", "valid"} <= set(names):
        raise DataError(f"{str(folder)!r} has both val and valid: one of them must go")


def _source(
    root: Path,
    train: "Mapping[str, Sequence[Path]]",
    validation: "Mapping[str, Sequence[Path]] | None" = None,
    *,
    cache_name: str,
    withhold: bool = False,
) -> Source:
    if len(train) < _FEWEST_CLASSES:
        raise DataError(f"{str(root)!r} must have at least two class folders, but has one, {next(iter(train))!r}")
    classes = tuple(train)
    label = {name: index for index, name in enumerate(classes)}
    parts = (train, validation or {})
    files = [file for part in parts for in_class in part.values() for file in in_class]
    labels = [label[name] for part in parts for name, in_class in part.items() for _ in in_class]
    start = None if validation is None else sum(map(len, train.values()))
    _check_files(files, root)
    read = partial(_read, root, files, np.array(labels, dtype=np.int64), classes, start, withhold=withhold)
    return Source(cache_name=cache_name, layout="class folders", stamp=stamp_files(root, files), read=read)


def _read(
    root: Path,
    files: "Sequence[Path]",
    labels: "NDArray[np.int64]",
    classes: tuple[str, ...],
    validation_start: int | None,
    *,
    withhold: bool,
) -> FileContents:
    """Read the headers of all image files but those of the test part."""
    if withhold:
        kept, _ = withhold_test(labels, classes)
        files, labels = [files[int(index)] for index in kept], labels[kept]
    with pillow_warnings_settled(), all_cores() as pool:
        headers = mapped(pool, read_header, files)
        readable = [header for header in headers if not isinstance(header, Unreadable)]
        if len(readable) < len(headers):
            raise _unreadable(_all_reasons(pool, files), root, len(files))
    return FileContents(
        root=root, files=files, headers=readable, labels=labels, classes=classes, validation_start=validation_start
    )


def _scan(part: Path) -> "dict[str, list[Path]]":
    """The images of every class folder, in the order of their names."""
    if not (classes := _folders_in(part)):
        raise DataError(f"{str(part)!r} has no class folders: images are looked for in {str(part)!r}/CLASS/*")
    found = {folder.name: list(_images_below(folder, set())) for folder in classes}
    empty = [repr(name) for name, files in found.items() if not files]
    if empty:
        suffixes = ", ".join(sorted(SUFFIXES))
        raise DataError(f"classes in {str(part)!r} without an image ({suffixes}): {listed(empty)}")
    return found


def _folders_in(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder) if _is_folder(entry)]


def _images_below(folder: Path, seen: set[tuple[int, int]]) -> "Iterator[Path]":
    """All image files below a folder; `seen` holds the folders (device, inode) that are not to be entered again."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in _entries(folder):
        if _is_folder(entry):
            yield from _images_below(Path(entry.path), seen)
        elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:  # noqa: PTH122  a Path each doubles the time
            yield Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds but for hidden things, by name."""
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"the folder {str(folder)!r} cannot be read: {error.strerror}") from error
    return sorted(visible, key=attrgetter("name"))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _check_files(files: "Sequence[Path]", root: Path) -> None:
    """Refuse broken links and anything that would block when opened, such as a named pipe."""
    odd: dict[Path, str] = {}
    for file in files:
        try:
            if not stat.S_ISREG(file.stat().st_mode):
                odd[file] = "not a file"
        except OSError as error:
            odd[file] = str(error.strerror)
    if odd:
        raise _unreadable(odd, root, len(files))


def _decode(
    file: Path, *, shape: tuple[int, int, int], grey: bool, image_size: int | None
) -> "NDArray[np.uint8] | Unreadable":
    image = read_image(file, grey=grey, image_size=image_size)
    if not isinstance(image, Unreadable) and image.shape != shape:
        return Unreadable("its pixels are not what its header promises")
    return image


def _reasons(files: "Sequence[Path]", images: "Sequence[object]") -> "dict[Path, str]":
    pairs = zip(files, images, strict=True)
    return {file: image.reason for file, image in pairs if isinstance(image, Unreadable)}


def _all_reasons(pool: "ThreadPoolExecutor", files: "Sequence[Path]") -> "dict[Path, str]":
    """Decode everything, once it is known that something is broken, so that all of it is named at once."""

    def attempt(file: Path) -> Unreadable | None:
        image = read_image(file, grey=False, image_size=None)
        return image if isinstance(image, Unreadable) else None

    return _reasons(files, mapped(pool, attempt, files))


def _unreadable(reasons: "Mapping[Path, str]", root: Path, total: int) -> DataError:
    named = [f"{_shown(file, root)} ({reason})" for file, reason in reasons.items()]
    return DataError(f"{len(reasons)} of {total} images in {str(root)!r} cannot be read: {listed(named)}")


def _shown(file: Path, root: Path) -> str:
    return str(file.relative_to(root))
