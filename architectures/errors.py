"""The errors of this room.

    ArchitectureError(ValueError)
    ├── UnknownArchitectureError    no architecture goes by that name
    │   └── MissingLibraryError     the library that it is in is not installed
    ├── OwnArchitectureError        somebody's own network does not load, or is none
    │   └── BrokenContractError     it does not keep to what every architecture keeps to
    └── PretrainedWeightsError      pretrained weights are missing or do not fit

The message is one line, and all that an error carries, so that it survives the way from one process to another.
"""


class ArchitectureError(ValueError):
    """The root of this room's errors."""


class UnknownArchitectureError(ArchitectureError):
    """No architecture goes by that name."""


class MissingLibraryError(UnknownArchitectureError):
    """The architecture is one of a library that is not installed."""


class OwnArchitectureError(ArchitectureError):
    """Somebody's own network does not load, or is none."""


class BrokenContractError(OwnArchitectureError):
    """A network does not keep to what every architecture keeps to."""


class PretrainedWeightsError(ArchitectureError):
    """Pretrained weights are neither in the cache nor to be had, or do not fit the architecture."""
