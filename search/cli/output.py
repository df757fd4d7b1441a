"""What commands print and write: JSON on stdout, messages on stderr, pages into files."""

import json
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ..errors import StorageError

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 160
"""Width in characters of tables that go into a file or a pipe, where no terminal tells one."""


def console(*, stderr: bool = False) -> "Console":
    """Return a console for people; what goes into a pipe is wide and plain.

    All that writes to a stream shares its console, so that a line stands above a bar or a spinner, not in it.
    """
    return _console(sys.stderr if stderr else sys.stdout)


@lru_cache(maxsize=2)
def _console(stream: TextIO) -> "Console":
    from .terminal import Terminal

    return Terminal(file=stream, width=None if stream.isatty() else PIPE_WIDTH, highlight=False)


def say(line: str) -> None:
    """Print a line on stderr, however long it is."""
    console(stderr=True).print(line, markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print a value as indented JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def output_file(output: Path | None, default: str) -> Path:
    """Return the file that `--output` names, or else the default one.

    Raises:
        StorageError: as `check_output`.
    """
    path = output or Path(default)
    check_output(path)
    return path


def check_output(path: Path) -> None:
    """Check before anything is computed that a file can be written there.

    Raises:
        StorageError: it is a folder, or its folder is not there or may only be read.
    """
    if path.is_dir():
        raise StorageError(f"--output {path} is a folder; it must be a file")
    if not path.parent.is_dir():
        raise StorageError(f"--output {path} cannot be written: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise StorageError(
            f"--output {path} cannot be written: the folder {path.parent.absolute()} may only be read; name a file in "
            "another one"
        )
