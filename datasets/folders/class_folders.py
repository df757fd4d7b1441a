"""Images in class folders as data sets; `folder_files` says which files count, `test_list` which are sealed."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ..store import Contents, Source, compiled, groups_of, renumbered, stamp_files, stamp_with, withhold_test
from .folder_files import FolderFiles, all_files, has_parts, sealed_files
from .image_files import FileContents, all_grey, read_files
from .test_list import check_whole_groups, divided, groups_apart


def find_searched(folder: Path, *, cache_name: str, group_pattern: str | None = None) -> Source:
    """Find the images of `folder/train`, and of `val` or `valid` where there is one, or else of `folder/CLASS/*`.

    Those on the folder's list of test images are left out; where class folders have no list, a fifth is, always the
    same.

    Raises:
        DataError: it is not there, a class has no images or is in one part alone, there are fewer than two classes, or
            a folder or file cannot be read, the list does not fit, or the group pattern is not a regular expression.
    """
    files, sealed = divided(all_files(folder))
    if sealed is None and not has_parts(folder):
        return _fifth(files, cache_name, group_pattern, withheld=False)

    def read() -> FileContents:
        return read_files(files, groups=groups_apart(files, sealed, group_pattern))

    return _source(files, files.files, read, cache_name, group_pattern, sealed)


def find_sealed(folder: Path, *, cache_name: str, group_pattern: str | None = None) -> Source:
    """Find the listed images, or those of `folder/test`, or the fifth that is withheld from class folders.

    Raises:
        NoTestPartError: the folder has a part `train`, but neither a list nor a part `test`.
        DataError: see `find_searched`; or its classes are not those of the other parts.
    """
    files, sealed = divided(all_files(folder))
    if sealed is None and not has_parts(folder):
        return _fifth(files, cache_name, group_pattern, withheld=True)
    test = sealed or sealed_files(folder, files.classes)

    def read() -> FileContents:
        if sealed is not None and group_pattern is not None:
            check_whole_groups(files, sealed, group_pattern)
        return read_files(test, grey=all_grey(files.files))

    # The others are in the stamp too: when the first coloured image comes to them, test images have three channels.
    return _source(test, [*test.files, *files.files], read, cache_name, group_pattern)


def _fifth(files: FolderFiles, cache_name: str, group_pattern: str | None, *, withheld: bool) -> Source:
    """Return the fifth that is withheld for tests, or the rest."""

    def read() -> FileContents:
        groups = None if group_pattern is None else groups_of(files.names, group_pattern)
        kept, test = withhold_test(files.labels, files.classes, groups)
        wanted = test if withheld else kept
        return read_files(
            files.chosen(wanted),
            grey=all_grey(files.chosen(kept).files) if withheld else None,
            groups=None if groups is None else renumbered(groups[wanted]),
        )

    return _source(files, files.files, read, cache_name, group_pattern)


def _source(
    files: FolderFiles,
    stamped: Sequence[Path],
    read: Callable[[], Contents],
    cache_name: str,
    group_pattern: str | None,
    sealed: FolderFiles | None = None,
) -> Source:
    if group_pattern is not None:
        compiled(group_pattern)
    stamp = stamp_with(stamp_files(files.root, stamped), group_pattern)
    if sealed is not None:
        # Their names alone: whether they divide a group is checked when the others are read.
        stamp = stamp_with(stamp, hashlib.sha256(os.fsencode("\n".join(sealed.paths))).hexdigest())
    return Source(cache_name=cache_name, layout="class folders", stamp=stamp, read=read)
