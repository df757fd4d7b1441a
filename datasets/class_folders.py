"""Images in class folders: which files count, and what must hold.

Every folder of a part (`train`, `val`) is a class, and its name the class's name. Images are the files below it, at any
depth, with one of `SUFFIXES` in any case. Everything else is ignored: other files, hidden files and folders, and files
that lie beside the class folders. Symbolic links are followed; of the ways to a folder within a class one counts.
"""

import os
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .cache import stamp_files, stamp_with
from .contents import Source
from .errors import DataError, NoTestPartError, listed
from .groups import check_apart, compiled, groups_of, renumbered
from .image_files import all_grey, read_files
from .split import withhold_test

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from .contents import Contents
    from .image_files import FileContents

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"})
"""Those that `torchvision.datasets.ImageFolder` takes."""

_PARTS = frozenset({"train", "val", "valid", "test"})
_ALMOST_PARTS = _PARTS | {"training", "validation", "testing"}
_FEWEST_CLASSES = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Files:
    """Image files of one part or two.

    Attributes:
        root: The folder of the data set.
        files: [N] image files.
        names: [N] what a group pattern is searched in: `CLASS/FILE`, with `/` on every system.
        labels: int64 [N], indices into `classes`.
        classes: Names of the classes.
        validation_start: Images from here on are the official validation part.
    """

    root: Path
    files: "Sequence[Path]"
    names: "Sequence[str]"
    labels: "NDArray[np.int64]"
    classes: tuple[str, ...]
    validation_start: int | None = None


def find_parts(folder: Path, *, cache_name: str, group_pattern: str | None = None) -> Source:
    """Find the images of `folder/train`, and of `folder/val` or `folder/valid` where there is one.

    Raises:
        DataError: It is not there, a class has no images or is in one part alone, there are fewer than two classes, or
            a folder or file cannot be read, or the group pattern is no regular expression.
    """
    return _source(_search_files(folder), partial(_read, group_pattern=group_pattern), cache_name, group_pattern)


def find_test_part(folder: Path, *, cache_name: str, group_pattern: str | None = None) -> Source:
    """Find the images of `folder/test`; the other parts decide about classes and colour.

    Raises:
        NoTestPartError: There is no such folder.
        DataError: See `find_parts`; or its classes are not those of the others.
    """
    searched = _search_files(folder)
    if not (folder / "test").is_dir():
        raise NoTestPartError(f"{str(folder)!r} has no test part: it would be looked for in {str(folder / 'test')!r}")
    test = _scan(folder / "test")
    _check_same_classes(folder, dict.fromkeys(searched.classes), test, "test")
    files = _listed(folder, folder / "test", test)
    # The others are in the stamp too: when the first coloured image comes to them, test images have three channels.
    stamp = stamp_with(stamp_files(folder, [*files.files, *searched.files]), group_pattern)
    read = partial(_read_beside, files, searched.files)
    return Source(cache_name=cache_name, layout="class folders", stamp=stamp, read=read)


def find_direct(folder: Path, *, cache_name: str, group_pattern: str | None = None, withheld: bool = False) -> Source:
    """Find the images of `folder/CLASS/*`; when they are read, the test part is left out, or is what is `withheld`.

    Raises:
        DataError: It is not there, a class has no images, there are fewer than two classes, or a folder or file cannot
            be read, or the group pattern is no regular expression.
    """
    _check_root(folder)
    files = _listed(folder, folder, _scan(folder))
    read = partial(_read_direct, group_pattern=group_pattern, withheld=withheld)
    return _source(files, read, cache_name, group_pattern)


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


def _search_files(folder: Path) -> _Files:
    """The files of all parts but the test part."""
    _check_root(folder)
    train = _scan(folder / "train")
    files = _listed(folder, folder / "train", train)
    official = next((folder / name for name in ("val", "valid") if (folder / name).is_dir()), None)
    if official is None:
        return files
    validation = _scan(official)
    _check_same_classes(folder, train, validation, official.name)
    more = _listed(folder, official, validation)
    return _Files(
        root=folder,
        files=[*files.files, *more.files],
        names=[*files.names, *more.names],
        labels=np.concatenate([files.labels, more.labels]),
        classes=files.classes,
        validation_start=len(files.files),
    )


def _check_same_classes(folder: Path, train: "Mapping[str, object]", other: "Mapping[str, object]", part: str) -> None:
    if train.keys() != other.keys():
        odd = [f"{name!r} is missing in {part}" for name in train if name not in other]
        odd += [f"{name!r} is missing in train" for name in other if name not in train]
        raise DataError(f"train and {part} of {str(folder)!r} must have the same classes: {listed(odd)}")


def _listed(root: Path, part: Path, found: "Mapping[str, Sequence[Path]]") -> _Files:
    if len(found) < _FEWEST_CLASSES:
        raise DataError(f"{str(root)!r} must have at least two class folders, but has one, {next(iter(found))!r}")
    files = [file for in_class in found.values() for file in in_class]
    start = len(os.fspath(part)) + 1 if part != Path() else 0
    return _Files(
        root=root,
        files=files,
        names=[os.fspath(file)[start:].replace(os.sep, "/") for file in files],
        labels=np.repeat(np.arange(len(found)), [len(in_class) for in_class in found.values()]).astype(np.int64),
        classes=tuple(found),
    )


def _source(files: _Files, read: "Callable[[_Files], Contents]", cache_name: str, group_pattern: str | None) -> Source:
    if group_pattern is not None:
        compiled(group_pattern)
    stamp = stamp_with(stamp_files(files.root, files.files), group_pattern)
    return Source(cache_name=cache_name, layout="class folders", stamp=stamp, read=partial(read, files))


def _read(files: _Files, *, group_pattern: str | None) -> "FileContents":
    groups = None if group_pattern is None else groups_of(files.names, group_pattern)
    if groups is not None and files.validation_start is not None:
        check_apart(groups, files.names, start=files.validation_start)
    return read_files(
        files.root,
        files.files,
        files.labels,
        files.classes,
        groups=groups,
        validation_start=files.validation_start,
    )


def _read_beside(files: _Files, others: "Sequence[Path]") -> "FileContents":
    return read_files(files.root, files.files, files.labels, files.classes, grey=all_grey(others))


def _read_direct(files: _Files, *, group_pattern: str | None, withheld: bool) -> "FileContents":
    groups = None if group_pattern is None else groups_of(files.names, group_pattern)
    kept, test = withhold_test(files.labels, files.classes, groups)
    wanted = test if withheld else kept
    kept_files, wanted_files = ([files.files[int(index)] for index in indices] for indices in (kept, wanted))
    return read_files(
        files.root,
        wanted_files,
        files.labels[wanted],
        files.classes,
        grey=all_grey(kept_files) if withheld else None,
        groups=None if groups is None else renumbered(groups[wanted]),
    )


def _scan(part: Path) -> "dict[str, list[Path]]":
    """The images of every class folder, in the order of their names."""
    classes = [Path(entry.path) for entry in _entries(part) if _is_folder(entry)]
    if not classes:
        raise DataError(f"{str(part)!r} has no class folders: images are looked for in {str(part)!r}/CLASS/*")
    found = {folder.name: list(_images_below(folder, set())) for folder in classes}
    empty = [repr(name) for name, files in found.items() if not files]
    if empty:
        suffixes = ", ".join(sorted(SUFFIXES))
        raise DataError(f"classes in {str(part)!r} without an image ({suffixes}): {listed(empty)}")
    return found


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
