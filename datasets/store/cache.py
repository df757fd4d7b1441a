"""The cache: decoded images as one array on disk, which all processes of a machine map into memory.

    CACHE_DIR/NAME-SIZE-STAMP.lock          held while the folder is made
    CACHE_DIR/NAME-SIZE-STAMP/images.npy    uint8 [N, C, H, W]
                              labels.npy    int64 [N]
                              groups.npy    int64 [N], where images belong to groups
                              meta.json     what `Meta` says, with a checksum of its own
                              split-*.npz   indices of both parts, mean and standard deviation

A folder appears under its name all at once, or not at all. One that was changed afterwards is rebuilt.
"""

import hashlib
import io
import json
import os
import secrets
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ..errors import DataError, listed
from .contents import Contents, Source
from .split import Split
from .values import Layout, Progress

# To be raised when the same files would give other arrays, or when the form of a folder changes. It was not raised when
# large JPEG files came to be decoded at their full size: arrays of before differ by a few grey levels, and the studies
# that were searched on them are to go on.
_VERSION = 2
_ARRAYS = ("images.npy", "labels.npy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What a cache folder holds.

    Attributes:
        shape: [N, C, H, W] of the images.
        grouped: images belong to groups.
        original_sizes: (height, width) before resizing: the smallest, the median and the largest of each.
        validation_start: images from here on are the official validation part; None where there is none.
        digest: SHA-256 over class names, images and labels.
        files: size in bytes and time of the last change in nanoseconds, of every array's file.
    """

    version: int
    stamp: str
    layout: Layout
    classes: tuple[str, ...]
    shape: tuple[int, int, int, int]
    grouped: bool
    original_sizes: tuple[tuple[int, int], ...]
    validation_start: int | None
    digest: str
    files: tuple[tuple[int, int], ...]


def stamp_files(root: Path, files: Iterable[Path]) -> str:
    """Check that files can be opened, and give a stamp that changes when one does: SHA-256 of paths, sizes and times.

    The time of the last change of the inode is among them: files of equal size that come out of an archive may have
    the same time of modification.

    Raises:
        DataError: some of them are broken links, or would block when opened, such as named pipes; all are named.
    """
    sha = hashlib.sha256(f"{_VERSION}\0".encode() + os.fsencode(root.resolve()))
    above, total, odd = f"{root}{os.sep}", 0, list[str]()
    for total, path in enumerate(map(os.fspath, files), 1):  # noqa: B007  counts as it goes; Path is slower by half
        name = path.removeprefix(above)
        try:
            status = os.stat(path)  # noqa: PTH116  see above
        except OSError as error:
            odd.append(f"{name} ({error.strerror})")
            continue
        if not stat.S_ISREG(status.st_mode):
            odd.append(f"{name} (not a file)")
        sha.update(b"\0" + os.fsencode(name))
        sha.update(f"\0{status.st_size},{status.st_mtime_ns},{status.st_ctime_ns}".encode())
    if odd:
        raise DataError(f"{len(odd)} of {total} files in {str(root)!r} cannot be read: {listed(odd)}")
    return sha.hexdigest()


def stamp_with(stamp: str, rule: str | None) -> str:
    """Return a stamp that also changes with a rule for reading files, such as which of them belong together."""
    return stamp if rule is None else hashlib.sha256(f"{stamp}\0{rule}".encode()).hexdigest()


def read_meta(folder: Path) -> Meta | None:
    """Return what a cache folder holds, or None if it is missing, damaged, or was written by another version."""
    # meta.json is checked as a whole by its checksum, so that its fields need no further checks of their own.
    try:
        sealed = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        fields: dict[str, Any] = sealed["meta"]
        if sealed["sha256"] != _checksum(fields) or fields["version"] != _VERSION:
            return None
        fields["classes"], fields["shape"] = tuple(fields["classes"]), tuple(fields["shape"])
        fields["files"] = tuple((size, time) for size, time in fields["files"])
        fields["original_sizes"] = tuple((height, width) for height, width in fields["original_sizes"])
        meta = Meta(**fields)
        return meta if meta.files == _file_states(folder, grouped=meta.grouped) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def read_arrays(folder: Path, meta: Meta) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64] | None]:
    """Return images, mapped into memory, labels, and groups or None, of a folder with `read_meta`; all read-only."""
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    groups = np.load(folder / "groups.npy") if meta.grouped else None
    for array in (labels, groups):
        if array is not None:
            array.setflags(write=False)
    return images, labels, groups


def ensure_folder(
    source: Source,
    *,
    image_size: int | None,
    cache_dir: Path,
    progress: Progress | None,
    check: Callable[[Contents], object] | None = None,
) -> tuple[Path, Meta]:
    """Return the cache folder of a data set at a size, and what it holds; create it if it is missing or damaged.

    What `check` raises for contents that cannot be used is raised before anything is written.

    Raises:
        DataError: images cannot be read, or the folder cannot be written. Nothing is left behind then.
    """
    # Absolute, because workers may run elsewhere.
    folder = cache_dir.absolute() / f"{source.cache_name}-{image_size or 'native'}-{source.stamp[:16]}"
    meta = read_meta(folder)
    if meta is not None:
        return folder, meta
    contents = source.read()
    contents.shape(image_size)  # raises a DataError if they have none in common
    if check is not None:
        check(contents)
    try:
        with _locked(folder):
            meta = read_meta(folder)
            if meta is None:
                meta = _make_folder(folder, source, contents, image_size, progress)
            return folder, meta
    except OSError as error:
        raise DataError(f"the cache folder {str(folder)!r} cannot be written: {error}") from error


def read_split(file: Path, meta: Meta) -> Split | None:
    """Return the split in a file, or None if it is missing or damaged."""
    try:
        # A zip file: every array's checksum is checked. Opened here, because np.load leaves what it cannot read open.
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            split = Split(**{name: arrays[name] for name in ("train", "validation", "mean", "std")})
            if str(arrays["digest"]) != split.digest:
                return None
    except (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return None
    if len(split.train) + len(split.validation) != meta.shape[0] or split.mean.shape != (meta.shape[1],):
        return None
    split.train.setflags(write=False)
    split.validation.setflags(write=False)
    return split


def write_split(file: Path, split: Split) -> None:
    """Write a split all at once; two processes that do it at once write the same."""
    temporary = _temporary(file)
    try:
        with temporary.open("wb") as stream:
            np.savez(
                stream,
                train=split.train,
                validation=split.validation,
                mean=split.mean,
                std=split.std,
                digest=np.array(split.digest),
            )
            _settle(stream)
        temporary.replace(file)
    except OSError as error:
        raise DataError(f"the split {str(file)!r} cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _make_folder(
    folder: Path, source: Source, contents: Contents, image_size: int | None, progress: Progress | None
) -> Meta:
    for leftover in folder.parent.glob(f".{folder.name}-*.tmp"):  # of a process that was killed: we hold the lock
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = _temporary(folder)
    temporary.mkdir()
    try:
        meta = _write_contents(temporary, source, contents, image_size, progress)
        if folder.exists():  # damaged, or of another version; who has it mapped keeps it
            folder.rename(_temporary(folder))
        temporary.rename(folder)
    finally:
        for leftover in folder.parent.glob(f".{folder.name}-*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)
    return meta


def _write_contents(
    folder: Path, source: Source, contents: Contents, image_size: int | None, progress: Progress | None
) -> Meta:
    shape = (len(contents.labels), *contents.shape(image_size))
    labels = contents.labels.astype("<i8")
    sha = hashlib.sha256(json.dumps([contents.classes, shape]).encode())
    # Written in order instead of mapped: a full disk is then an error that can be caught, and the digest is free.
    with (folder / "images.npy").open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for block in contents.blocks(image_size, progress):
            pixels = np.ascontiguousarray(block).data
            stream.write(pixels)
            sha.update(pixels)
        _settle(stream)
    sha.update(labels.tobytes())
    _write_indices(folder / "labels.npy", labels)
    grouped = contents.groups is not None
    if contents.groups is not None:
        _write_indices(folder / "groups.npy", contents.groups.astype("<i8"))
    meta = Meta(
        version=_VERSION,
        stamp=source.stamp,
        layout=source.layout,
        classes=contents.classes,
        shape=shape,
        grouped=grouped,
        original_sizes=_size_range(contents.sizes),
        validation_start=contents.validation_start,
        digest=sha.hexdigest(),
        files=_file_states(folder, grouped=grouped),
    )
    fields = asdict(meta)
    with (folder / "meta.json").open("w", encoding="utf-8") as stream:
        json.dump({"meta": fields, "sha256": _checksum(fields)}, stream, indent=1)
        _settle(stream)
    return meta


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    """Hold the lock of a cache folder; on an error remove the lock, and the folders that had to be made for it."""
    cache_dir = folder.parent
    made = [directory for directory in (cache_dir, *cache_dir.parents) if not directory.exists()]
    lock = cache_dir / f"{folder.name}.lock"
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            try:
                yield
            except BaseException:
                lock.unlink(missing_ok=True)  # while it is held, so that no other process holds it
                raise
    except BaseException:
        with suppress(OSError):
            for directory in made:
                directory.rmdir()
        raise


def _temporary(path: Path) -> Path:
    """Return a hidden name beside a path that no other process uses."""
    return path.with_name(f".{path.name}-{secrets.token_hex(8)}.tmp")


def _write_indices(file: Path, indices: NDArray[np.int64]) -> None:
    content = io.BytesIO()
    np.save(content, indices)
    with file.open("wb") as stream:
        stream.write(content.getbuffer())  # NumPy would not say what went wrong
        _settle(stream)


def _size_range(sizes: NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    """Return the smallest, median and largest height and width of int64 [N, 2]."""
    rows = (sizes.min(axis=0), np.median(sizes, axis=0), sizes.max(axis=0))
    return tuple((int(height), int(width)) for height, width in rows)


def _file_states(folder: Path, *, grouped: bool) -> tuple[tuple[int, int], ...]:
    states = [(folder / name).stat() for name in (*_ARRAYS, *(["groups.npy"] if grouped else []))]
    return tuple((state.st_size, state.st_mtime_ns) for state in states)


def _checksum(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _settle(stream: BinaryIO | TextIO) -> None:
    """Force what was written to disk before anything is renamed: power may fail."""
    stream.flush()
    os.fsync(stream.fileno())
