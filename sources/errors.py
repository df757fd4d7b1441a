"""The root of all errors, the errors of this room, and what is said about a name that is not known."""

import errno
from collections.abc import Iterable
from difflib import get_close_matches

from .shown_text import fit

MOST_CHARACTERS = 4000
"""Of a message; what libraries say about a large file may have megabytes."""

_LISTED_AT_MOST = 40

DISK_FULL = "no space is left on the disk"

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_TEXTS = ("No space left on device", "disk is full", "Disk quota exceeded")
"""What safetensors and SQLite say, whose errors have no number."""


class OptrackError(Exception):
    r"""Root of all errors that a user can fix; the message is one line without passwords and control characters.

    >>> raise OptrackError("first line\nsecond line")
    Traceback (most recent call last):
        ...
    optrack.sources.errors.OptrackError: first line second line
    """

    def __init__(self, message: str) -> None:
        line = " ".join(line.strip() for line in message.splitlines() if line.strip())
        super().__init__(fit(line, MOST_CHARACTERS))


class SourceError(OptrackError, ValueError):
    """The code is not there, or does not run; the message says where and why."""


class SourceChangedError(SourceError):
    """The code is not what it was."""


def chain_of(error: BaseException) -> list[BaseException]:
    """Return an error, and those that it was raised for."""
    chain = [error]
    while cause := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(cause)
    return chain


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error, or one that it was raised for, comes from a disk without space."""
    return any(
        (isinstance(each, OSError) and each.errno in _FULL) or any(text in str(each) for text in _FULL_TEXTS)
        for each in chain_of(error)
    )


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message about an unknown name: the nearest known one first, then all of them, or five of very many.

    >>> unknown("optimizer", "adm", ["adam", "sgd"])
    "unknown optimizer 'adm' (did you mean 'adam'?); valid names: adam, sgd"
    >>> unknown("optimizer", "xyz", ["adam", "sgd"])
    "unknown optimizer 'xyz'; valid names: adam, sgd"
    """
    names = list(known)
    what = f"unknown {kind} {name!r}"
    if len(names) > _LISTED_AT_MOST:
        return f"{what}; nearest names: {', '.join(_nearest(name, names, count=5, cutoff=0.0))}"
    return f"{what}{did_you_mean(name, names)}; valid names: {', '.join(names) or 'none'}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the hint at the nearest known name, whatever its case and hyphens; an empty text where none is near.

    >>> did_you_mean("Fashion-MNITS", ["digits", "fashion_mnist"])
    " (did you mean 'fashion_mnist'?)"
    >>> did_you_mean("cars", ["digits", "fashion_mnist"])
    ''
    """
    nearest = _nearest(name, known, count=1, cutoff=0.6)
    return f" (did you mean {nearest[0]!r}?)" if nearest else ""


def _nearest(name: str, known: Iterable[str], *, count: int, cutoff: float) -> list[str]:
    plain = {_plain(each): each for each in known}
    return [plain[match] for match in get_close_matches(_plain(name), plain, n=count, cutoff=cutoff)]


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
