"""Images in class folders as data sets; `folder_files` says which files count, `test_list` which are sealed."""

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..store.cache import stamp_files, stamp_with
from ..store.contents import Contents, Source
from ..store.groups import compiled, groups_of, renumbered
from ..store.split import withhold_test
from .folder_files import FolderFiles, class_files, part_files, sealed_files
from .image_files import FileContents, all_grey, read_files
from .test_list import check_whole_groups, divided, groups_apart


def find_parts(folder: Path, *, cache_name: str, group_pattern: str | None = None) -> Source:
    """Find the images of `folder/train`, and of `folder/val` or `folder/valid` where there is one.

    Those on the folder's list of test images are left out.

    Raises:
        DataError: it is not there, a class has no images or is in one part alone, there are fewer than two classes, or
            a folder or file cannot be read, the list does not fit, or the group pattern is not a regular expression.
    """
    files, sealed = divided(part_files(folder))
    return _search_source(files, sealed, cache_name, group_pattern)


def find_test_part(folder: Path, *, cache_name: str, group_pattern: str | None = None) -> Source:
    """Find the listed images, or those of `folder/test`; the other parts decide about classes and colour.

    Raises:
        NoTestPartError: there is neither a list nor such a folder.
        DataError: see `find_parts`; or its classes are not those of the others.
    """
    searched, sealed = divided(part_files(folder))
    if sealed is not None:
        return _listed_source(searched, sealed, cache_name, group_pattern)
    test = sealed_files(folder, searched.classes)
    return _test_source(searched, test, cache_name, group_pattern, partial(_read_beside, test, searched.files))


def find_direct(folder: Path, *, cache_name: str, group_pattern: str | None = None, withheld: bool = False) -> Source:
    """Find the images of `folder/CLASS/*` but those to test on, or what is `withheld`: those alone.

    They are the listed ones where there is a list, and a fifth that is always the same otherwise.

    Raises:
        DataError: it is not there, a class has no images, there are fewer than two classes, or a folder or file cannot
            be read, the list does not fit, or the group pattern is not a regular expression.
    """
    files, sealed = divided(class_files(folder))
    if sealed is None:
        read = partial(_read_direct, files, group_pattern=group_pattern, withheld=withheld)
        return _source(files, files.files, read, cache_name, group_pattern)
    source = _listed_source if withheld else _search_source
    return source(files, sealed, cache_name, group_pattern)


def _search_source(
    files: FolderFiles, sealed: FolderFiles | None, cache_name: str, group_pattern: str | None
) -> Source:
    read = partial(_read, files, sealed, group_pattern=group_pattern)
    return _source(files, files.files, read, cache_name, group_pattern, sealed)


def _listed_source(searched: FolderFiles, sealed: FolderFiles, cache_name: str, group_pattern: str | None) -> Source:
    read = partial(_read_listed, searched, sealed, group_pattern=group_pattern)
    return _test_source(searched, sealed, cache_name, group_pattern, read)


def _test_source(
    searched: FolderFiles,
    test: FolderFiles,
    cache_name: str,
    group_pattern: str | None,
    read: Callable[[], Contents],
) -> Source:
    # The others are in the stamp too: when the first coloured image comes to them, test images have three channels.
    return _source(test, [*test.files, *searched.files], read, cache_name, group_pattern)


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


def _read(files: FolderFiles, sealed: FolderFiles | None, *, group_pattern: str | None) -> FileContents:
    return read_files(files, groups=groups_apart(files, sealed, group_pattern))


def _read_listed(searched: FolderFiles, sealed: FolderFiles, *, group_pattern: str | None) -> FileContents:
    if group_pattern is not None:
        check_whole_groups(searched, sealed, group_pattern)
    return _read_beside(sealed, searched.files)


def _read_beside(files: FolderFiles, others: Sequence[Path]) -> FileContents:
    return read_files(files, grey=all_grey(others))


def _read_direct(files: FolderFiles, *, group_pattern: str | None, withheld: bool) -> FileContents:
    groups = None if group_pattern is None else groups_of(files.names, group_pattern)
    kept, test = withhold_test(files.labels, files.classes, groups)
    wanted = test if withheld else kept
    return read_files(
        files.chosen(wanted),
        grey=all_grey(files.chosen(kept).files) if withheld else None,
        groups=None if groups is None else renumbered(groups[wanted]),
    )
