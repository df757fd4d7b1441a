"""The list of a folder's test images: it lies among the images, so that every study on them has the same sealed part.

    # Test images of this folder, set aside by `optrack new`: no search sees them.
    ...
    train/ants/0013035.jpg
    val/bees/abeja.jpg

One path a line, relative to the folder, with `/` on every system; lines that begin with `#` say something to people.
Images that come later are not on it, so they go to the search.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, listed
from ..store import check_apart, class_counts, groups_of
from .folder_files import TEST_LIST, FolderFiles, expanded
from .new_file import write_new

_HEADER = """\
# Test images of this folder, set aside by `optrack new`. No search sees them; `optrack test` opens them.
# Every study on this folder leaves out the same images, on any machine: keep this file with the images.
# Do not edit it: an image that was searched with yesterday tests nothing today. New images need not be listed.
"""


def read_test_list(folder: Path) -> tuple[str, ...] | None:
    """Return the paths that a folder's list holds, or None if there is no list."""
    file = folder / TEST_LIST
    try:
        text = file.read_bytes().decode(errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"the list of test images {str(file)!r} cannot be read: {error.strerror}") from error
    # Not splitlines: names may hold what Unicode takes for the end of a line.
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    paths = tuple(line.removeprefix("./") for line in lines if line and not line.startswith("#"))
    if not paths:
        raise DataError(f"the list of test images {str(file)!r} holds no path: remove it, `optrack new` makes another")
    return paths


def listed_images(name: str, count: int) -> list[Path]:
    """Return at most `count` images on the list of a data set's folder, of all classes; none without a list."""
    kind, _, argument = name.partition(":")
    folder = Path(argument)
    try:
        paths = read_test_list(expanded(folder)) if kind == "image_folder" else None
    except DataError:
        return []
    if paths is None:
        return []
    chosen: list[int] = np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int).tolist()
    return [folder / paths[index] for index in chosen]


def write_test_list(folder: Path, paths: Iterable[str]) -> Path:
    """Write a folder's list of paths relative to it, with `/`, and return the list's own path.

    Raises:
        DataError: there is one already, it cannot be written, or a name cannot stand on one line.
    """
    names = sorted(paths)
    odd = [repr(name) for name in names if "\n" in name or name.endswith("\r")]
    if odd:
        raise DataError(f"names of images must be on one line: rename {listed(odd)}")
    file = folder / TEST_LIST
    write_new(file, _HEADER + "".join(f"{'./' if name.startswith('#') else ''}{name}\n" for name in names))
    return file


def divided(files: FolderFiles) -> tuple[FolderFiles, FolderFiles | None]:
    """Divide a folder's files into what a search may see and what its list seals: all of them and None without one."""
    paths = read_test_list(files.root)
    if paths is None:
        return files, None
    if (files.root / "test").is_dir():
        raise DataError(
            f"{str(files.root)!r} has both a folder test and a list of test images, {TEST_LIST}: remove the list to "
            "test on the folder, or move the folder away to test on the list"
        )
    return divided_by(files, paths)


def divided_by(files: FolderFiles, paths: Sequence[str]) -> tuple[FolderFiles, FolderFiles]:
    """Divide a folder's files into what a search may see and what these paths seal."""
    name = f"the list of test images {str(files.root / TEST_LIST)!r}"
    _check_paths(files, paths, name)
    wanted = set(paths)
    is_listed = np.array([path in wanted for path in files.paths], dtype=np.bool_)
    kept, sealed = (files.chosen(np.flatnonzero(mask)) for mask in (~is_listed, is_listed))
    for part, labels in _parts(kept).items():
        gone = _missing(labels, files.classes)
        if gone:
            raise DataError(f"{name} takes all images of {listed(gone)} from {part}: add images of it there")
    gone = _missing(sealed.labels, files.classes)
    if gone:
        raise DataError(f"{name} has no image of {listed(gone)}: every class must be tested, so add some of its images")
    return kept, sealed


def check_whole_groups(kept: FolderFiles, sealed: FolderFiles, pattern: str) -> None:
    """Check that a list divides no group."""
    groups = groups_of([*kept.names, *sealed.names], pattern)
    start = len(kept.names)
    shared = np.intersect1d(groups[:start], groups[start:])
    if len(shared):
        seen, hidden = (int(np.flatnonzero(part == shared[0])[0]) for part in (groups[:start], groups[start:]))
        raise DataError(
            f"no group may have images both on the list of test images {str(kept.root / TEST_LIST)!r} and beside it, "
            f"but {len(shared)} {'has' if len(shared) == 1 else 'have'}, for example that of {sealed.paths[hidden]} "
            f"(listed) and {kept.paths[seen]}: list all images of a group or none"
        )


def groups_apart(files: FolderFiles, sealed: FolderFiles | None, group_pattern: str | None) -> NDArray[np.int64] | None:
    """Return the groups of what a search may see, int64 [N], none of which is in two parts; None without a pattern."""
    if group_pattern is None:
        return None
    groups = groups_of(files.names, group_pattern)
    if files.validation_start is not None:
        check_apart(groups, files.names, start=files.validation_start)
    if sealed is not None:
        check_whole_groups(files, sealed, group_pattern)
    return groups


def _check_paths(files: FolderFiles, paths: Sequence[str], name: str) -> None:
    counts, known = Counter(paths), set(files.paths)
    odd = [f"{path} ({_what_is_wrong(files.root, path)})" for path in counts if path not in known]
    twice = [path for path, count in counts.items() if count > 1]
    if odd:
        raise DataError(
            f"{name} names {len(odd)} that cannot be tested on: {listed(odd)}; put them back, or remove their lines"
        )
    if twice:
        raise DataError(f"{name} names {listed(twice)} twice: remove one of the lines")


def _what_is_wrong(root: Path, path: str) -> str:
    """Say why a listed path is not one of the folder's images."""
    if path.startswith("/") or ".." in path.split("/") or Path(path).is_absolute():
        return "outside of the folder"
    return "no image of a class" if os.path.lexists(root / path) else "not there"


def _parts(files: FolderFiles) -> dict[str, NDArray[np.int64]]:
    """Return the labels of the training part, and of the official validation part where there is one."""
    start = files.validation_start
    if start is None:
        return {"training": files.labels}
    return {"training": files.labels[:start], "validation": files.labels[start:]}


def _missing(labels: NDArray[np.int64], classes: Sequence[str]) -> list[str]:
    return [repr(name) for name, count in class_counts(labels, classes).items() if not count]
