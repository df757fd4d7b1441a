"""User-defined code runs in our process: what it does to that process ends with it."""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress


@contextmanager
def undisturbed() -> Generator[None]:
    """After the block, the current folder, standard output and standard error are what they were before it."""
    kept: dict[int, int] = {}
    for number in (1, 2):
        with suppress(OSError):  # closed from the start, as under some supervisors
            kept[number] = os.dup(number)
    folder = os.open(".", os.O_RDONLY)
    try:
        yield
    finally:
        os.fchdir(folder)
        os.close(folder)
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)
