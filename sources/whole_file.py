"""Files that are written all at once or not at all, and leave nothing beside them."""

import glob
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

LONGEST_NAME = 50
"""Characters of the file's name that its unfinished one repeats, of up to four bytes; file systems take 255 bytes."""


@contextmanager
def unfinished(file: Path) -> Generator[Path]:
    """Give a hidden name beside a file, to be written and then renamed to it; it is removed where that was not done."""
    remove_unfinished(file)
    path = file.with_name(f"{_start(file)}{os.getpid()}.unfinished")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def remove_unfinished(file: Path) -> None:
    """Remove what processes left beside a file that were killed while they wrote it."""
    for left in file.parent.glob(f"{glob.escape(_start(file))}*.unfinished"):
        process = left.name.split(".")[-2]
        if process.isdecimal() and not _runs(int(process)):
            left.unlink(missing_ok=True)


def _start(file: Path) -> str:
    return f".{file.name[:LONGEST_NAME]}."


def _runs(process: int) -> bool:
    try:
        with suppress(PermissionError):  # somebody else's
            os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    return True
