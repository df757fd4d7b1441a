"""All errors of optrack as one tree; the command line prints each in one line.

OptrackError                          in sources, the room that all others may import
├── StudyError (ValueError)           a study, family, space, option or configuration that makes no sense
│   └── OwnSourceError                the code of a user-defined network may not be run, or cannot
├── StorageError                      Optuna's storage cannot be opened, is foreign, or is owned by another process
│   └── StorageFailedError            it failed, or stayed away, in the middle of a search
├── TrackingError                     MLflow cannot be reached or refuses
│   ├── MlflowAwayError               it does not answer now, and may answer later
│   │   └── UnknownHostError          nobody knows its host
│   └── TrackingFailedError           it stayed away for longer than it was to be waited for
├── NothingStoredError                what was asked for has not been computed yet
├── ServerError                       a server did not start
├── DataError (ValueError)            in datasets: a data set, its name or its files
│   └── NoTestPartError               a data set has no test part
├── ArchitectureError (ValueError)    in architectures
│   ├── UnknownArchitectureError      there is no architecture of that name
│   │   └── MissingLibraryError       its library is not installed
│   ├── OwnArchitectureError          a user-defined network is not a network
│   │   └── BrokenContractError       it breaks the architecture contract
│   └── PretrainedWeightsError        pretrained weights are missing or do not fit
└── SourceError (ValueError)          in sources: the user's code is not there, or does not run
    └── SourceChangedError            it is not what it was
"""

from ..sources.errors import OptrackError, did_you_mean, unknown

__all__ = [
    "MlflowAwayError",
    "NothingStoredError",
    "OptrackError",
    "OwnSourceError",
    "ServerError",
    "StorageError",
    "StorageFailedError",
    "StudyError",
    "TrackingError",
    "TrackingFailedError",
    "UnknownHostError",
    "did_you_mean",
    "unknown",
]


class StudyError(OptrackError, ValueError):
    """A study, family, space, option or configuration makes no sense."""


class OwnSourceError(StudyError):
    """The code of a user-defined network may not be run, or cannot."""


class StorageError(OptrackError):
    """Optuna's storage cannot be opened, is foreign, or is owned by another process."""


class StorageFailedError(StorageError):
    """Optuna's storage failed, or stayed away, in the middle of a search."""


class TrackingError(OptrackError):
    """MLflow cannot be reached or refuses."""


class MlflowAwayError(TrackingError):
    """MLflow does not answer now, and may answer later."""


class UnknownHostError(MlflowAwayError):
    """Nobody knows MLflow's host."""


class TrackingFailedError(TrackingError):
    """MLflow stayed away for longer than it was to be waited for."""


class NothingStoredError(OptrackError):
    """What was asked for has not been computed yet."""


class ServerError(OptrackError):
    """A server did not start."""
