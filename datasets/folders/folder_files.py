"""Image files in class folders: which of them count, and what must hold.

Every folder of a part (`train`, `val`) is a class, and its name the class's name. Images are the files below it, at any
depth, with one of `SUFFIXES` in any case. Everything else is ignored: other files, hidden files and folders, and files
that lie beside the class folders. Symbolic links are followed; of the ways to a folder within a class one counts.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, NoTestPartError, listed
from .image_files import LabelledFiles

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"})
"""Those that `torchvision.datasets.ImageFolder` takes."""

TEST_LIST = "optrack-test.txt"
"""The file of a folder that names its test images, see `test_list`."""

_PARTS = frozenset({"train", "val", "valid", "test"})
_ALMOST_PARTS = _PARTS | {"training", "validation", "testing"}
_FEWEST_CLASSES = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FolderFiles(LabelledFiles):
    """Image files in class folders.

    Attributes:
        paths: [N] the files relative to `root`, with `/` on every system: `train/CLASS/FILE` or `CLASS/FILE`.
        names: [N] what a group pattern is searched in: `CLASS/FILE`.
    """

    paths: Sequence[str]
    names: Sequence[str]

    def chosen(self, indices: NDArray[np.int64]) -> "FolderFiles":
        """Return those at sorted indices, int64 [n]."""
        start = self.validation_start
        positions: list[int] = indices.tolist()
        return FolderFiles(
            root=self.root,
            files=[self.files[position] for position in positions],
            paths=[self.paths[position] for position in positions],
            names=[self.names[position] for position in positions],
            labels=self.labels[indices],
            classes=self.classes,
            validation_start=None if start is None else int(np.searchsorted(indices, start)),
        )


def expanded(folder: Path) -> Path:
    """Return a folder with its leading `~` expanded."""
    try:
        return folder.expanduser()
    except RuntimeError as error:  # an unknown user's home folder
        raise DataError(f"{str(folder)!r} cannot be expanded: {error}") from error


def has_parts(folder: Path) -> bool:
    """Whether images lie in `folder/train/CLASS/*` and not in `folder/CLASS/*`."""
    return (folder / "train").is_dir()


def all_files(folder: Path) -> FolderFiles:
    """Return the files of a folder in one of the layouts of `image_folder`, see `part_files` and `class_files`."""
    return part_files(folder) if has_parts(folder) else class_files(folder)


def part_files(folder: Path) -> FolderFiles:
    """Return the files of `folder/train`, and of `folder/val` or `folder/valid` where there is one."""
    _check_root(folder)
    train = _scan(folder / "train")
    files = _listed(folder, folder / "train", train)
    official = next((folder / name for name in ("val", "valid") if (folder / name).is_dir()), None)
    if official is None:
        return files
    validation = _scan(official)
    _check_same_classes(folder, train, validation, official.name)
    more = _listed(folder, official, validation)
    return FolderFiles(
        root=folder,
        files=[*files.files, *more.files],
        paths=[*files.paths, *more.paths],
        names=[*files.names, *more.names],
        labels=np.concatenate([files.labels, more.labels]),
        classes=files.classes,
        validation_start=len(files.files),
    )


def sealed_files(folder: Path, classes: Sequence[str]) -> FolderFiles:
    """Return the files of `folder/test`, of the same classes as the other parts; NoTestPartError if it is not there."""
    part = folder / "test"
    if not part.is_dir():
        raise NoTestPartError(
            f"{str(folder)!r} has no test part: it would be looked for in {str(part)!r}, or listed in "
            f"{str(folder / TEST_LIST)!r}"
        )
    found = _scan(part)
    _check_same_classes(folder, dict.fromkeys(classes), found, "test")
    return _listed(folder, part, found)


def class_files(folder: Path) -> FolderFiles:
    """Return the files of `folder/CLASS/*`."""
    _check_root(folder)
    return _listed(folder, folder, _scan(folder))


def _check_root(folder: Path) -> None:
    """Check that a folder is there, and has no parts under other names than those that are read."""
    if not folder.exists():
        raise DataError(f"there is no folder {str(folder)!r} (current folder: {str(Path.cwd())!r})")
    if not folder.is_dir():
        raise DataError(f"{str(folder)!r} is not a folder")
    names = [entry.name for entry in _entries(folder) if _is_folder(entry)]
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


def _check_same_classes(folder: Path, train: Mapping[str, object], other: Mapping[str, object], part: str) -> None:
    if train.keys() != other.keys():
        odd = [f"{name!r} is missing in {part}" for name in train if name not in other]
        odd += [f"{name!r} is missing in train" for name in other if name not in train]
        raise DataError(
            f"train and {part} of {str(folder)!r} must have the same classes: {listed(odd)}; put images of it there, "
            "or take it out of the other part"
        )


def _listed(root: Path, part: Path, found: Mapping[str, Sequence[Path]]) -> FolderFiles:
    if len(found) < _FEWEST_CLASSES:
        raise DataError(
            f"{str(root)!r} must have at least two class folders, but has one, {next(iter(found))!r}: each class needs "
            "a folder of its own"
        )
    files = [file for in_class in found.values() for file in in_class]
    paths = _relative(files, root)
    return FolderFiles(
        root=root,
        files=files,
        paths=paths,
        names=paths if part == root else _relative(files, part),
        labels=np.repeat(np.arange(len(found)), [len(in_class) for in_class in found.values()]).astype(np.int64),
        classes=tuple(found),
    )


def _relative(files: Sequence[Path], folder: Path) -> list[str]:
    start = len(os.fspath(folder)) + 1 if folder != Path() else 0
    return [os.fspath(file)[start:].replace(os.sep, "/") for file in files]


def _scan(part: Path) -> dict[str, list[Path]]:
    """Return the images of every class folder, in the order of their names."""
    classes = [Path(entry.path) for entry in _entries(part) if _is_folder(entry)]
    if not classes:
        raise DataError(f"{str(part)!r} has no class folders: images are looked for in {str(part)!r}/CLASS/*")
    found = {folder.name: list(_images_below(folder, set())) for folder in classes}
    empty = [repr(name) for name, files in found.items() if not files]
    if empty:
        suffixes = ", ".join(sorted(SUFFIXES))
        raise DataError(
            f"classes in {str(part)!r} without an image ({suffixes}): {listed(empty)}; put images there, or remove the "
            "folder"
        )
    return found


def _images_below(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield all image files below a folder; folders in `seen` (device, inode) are not entered again."""
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
    """Return what a folder holds but for hidden entries, by name."""
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
