"""Writing a file that must not be there yet."""

import os
import secrets
from pathlib import Path

from ..errors import DataError


def write_new(file: Path, text: str) -> None:
    """Write a text in UTF-8, all at once or not at all, and never over another file.

    Args:
        file: Where to; its folder must be there.
        text: What; undecodable bytes of file names in it come out as they were.

    Raises:
        DataError: There is something of that name, or it cannot be written.
    """
    unfinished = file.with_name(f".{file.name[:100]}-{secrets.token_hex(8)}.tmp")
    try:
        with unfinished.open("xb") as stream:
            stream.write(text.encode(errors="surrogateescape"))
            stream.flush()
            os.fsync(stream.fileno())
        _rename(unfinished, file)
    except FileExistsError:
        raise DataError(f"{str(file)!r} is there already, and nothing is written over it") from None
    except OSError as error:
        raise DataError(f"{str(file)!r} cannot be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _rename(unfinished: Path, file: Path) -> None:
    """Give a file another name, unless there is something of that name."""
    try:
        file.hardlink_to(unfinished)  # a rename would replace what is there
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(file):
            raise FileExistsError(file) from None
        unfinished.rename(file)
