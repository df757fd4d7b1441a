"""Write a file that must not exist yet."""

import os
import secrets
from pathlib import Path

from ..errors import DataError


def write_new(file: Path, text: str) -> None:
    """Write a text in UTF-8, all at once or not at all, and never over another file.

    Undecodable bytes of file names in it are written unchanged.

    Raises:
        DataError: the name exists, or the file cannot be written.
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
    """Rename a file, unless the new name exists."""
    try:
        file.hardlink_to(unfinished)  # a rename would replace what is there
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(file):
            raise FileExistsError(file) from None
        unfinished.rename(file)
