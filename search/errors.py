"""What can go wrong through bad input or a machine that fails, as one tree; the command line prints each in one line.

OptrackError
├── StudyError         a study, family, space, option or configuration that makes no sense
│   └── OwnSourceError the code of somebody's own network may not be run, or cannot
├── StorageError       Optuna's storage cannot be opened, is foreign, or is owned by another process
├── TrackingError      MLflow cannot be reached or refuses
├── NothingStoredError what was asked for has not been computed yet
└── ServerError        a server that was to be started does not come up

What is wrong with data is a `DataError` of the room `optrack.datasets`, which knows nothing of this one.
"""

import difflib
from collections.abc import Iterable


class OptrackError(Exception):
    """Root of all errors that a user can mend; its text is one line, whatever names and values stand in it."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


class StudyError(OptrackError, ValueError):
    """A study, family, space, option or configuration that makes no sense."""


class OwnSourceError(StudyError):
    """The code of somebody's own network may not be run, or cannot."""


class StorageError(OptrackError):
    """Optuna's storage cannot be opened, is foreign, or is owned by another process."""


class TrackingError(OptrackError):
    """MLflow cannot be reached or refuses."""


class NothingStoredError(OptrackError):
    """What was asked for has not been computed yet."""


class ServerError(OptrackError):
    """A server that was to be started does not come up."""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence about a name that is not known: the nearest known one first, then all of them.

    >>> unknown("optimizer", "adm", ["adam", "sgd"])
    "unknown optimizer 'adm': did you mean 'adam'? known are adam, sgd"
    >>> unknown("optimizer", "xyz", ["adam", "sgd"])
    "unknown optimizer 'xyz': known are adam, sgd"
    """
    names = list(known)
    nearest = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"unknown {kind} {name!r}: {hint}known are {', '.join(names) or 'none'}"
