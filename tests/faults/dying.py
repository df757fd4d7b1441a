"""A process that dies at its N-th write, whatever it writes: a file, a folder, a rename, a removal, a commit.

`install` counts the writes of this process in all its threads, and kills it with SIGKILL right before one of them, or a
number of bytes later, in the middle of a file.
"""

import os
import resource
import signal
import sys
import threading
from pathlib import Path

AT = "OPTRACK_TEST_DIE_AT_WRITE"
"""Environment variable: the number of the write, from 1 on."""

WITHIN = "OPTRACK_TEST_DIE_WITHIN"
"""Environment variable: from the write on, no file is written beyond so many bytes, and who tries dies by SIGXFSZ."""

COUNT = "OPTRACK_TEST_COUNT_WRITES"
"""Environment variable: a file that gets a byte for each write."""

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink", "shutil.move"}


def install() -> None:
    """Do what the environment asks for."""
    at, within, counted = int(os.environ.get(AT, "0")), os.environ.get(WITHIN), os.environ.get(COUNT)
    if not at and not counted:
        return
    from sqlalchemy import Engine, event

    lock, ours = threading.Lock(), os.getpid()
    file = os.open(counted, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if counted else None
    writes = 0
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it

    def count() -> None:
        nonlocal writes
        if os.getpid() != ours:
            return
        with lock:
            writes += 1
            if writes == at and within is None:
                os.kill(ours, signal.SIGKILL)
            elif writes == at and within is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (int(within), int(within)))
            if file is not None:
                os.write(file, b".")

    def heard(name: str, arguments: tuple[object, ...]) -> None:
        if name in CHANGES or (name == "open" and _writes(arguments)):
            count()

    def committed(_: object) -> None:
        count()

    sys.addaudithook(heard)
    event.listen(Engine, "commit", committed)


def _writes(arguments: tuple[object, ...]) -> bool:
    path, mode, flags = arguments
    if isinstance(path, str | bytes) and Path(os.fsdecode(path)).is_relative_to("/dev"):
        return False
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))
