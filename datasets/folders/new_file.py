"""Write a file that must not exist yet."""

import os
from pathlib import Path

from ...sources import unfinished
from ..errors import DataError


def write_new(file: Path, text: str) -> None:
    """Write a text in UTF-8, all at once or not at all, and never over another file.

    Undecodable bytes of file names in it are written unchanged.

    Raises:
        DataError: the name exists, or the file cannot be written.
    """
    try:
        with unfinished(file) as written:
            with written.open("wb") as stream:
                stream.write(text.encode(errors="surrogateescape"))
                stream.flush()
                os.fsync(stream.fileno())
            _rename(written, file)
    except FileExistsError:
        raise DataError(f"{str(file)!r} is there already, and nothing is written over it") from None
    except OSError as error:
        raise DataError(f"{str(file)!r} cannot be written: {error.strerror}") from error


def _rename(written: Path, file: Path) -> None:
    """Rename a file, unless the new name exists."""
    try:
        file.hardlink_to(written)  # a rename would replace what is there
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(file):
            raise FileExistsError(file) from None
        written.rename(file)
