"""The errors of this room; `optrack.search.errors` shows where they stand in the tree of all errors.

The message is all that an error carries, so that it survives the way from one process to another.
"""

from ..sources.errors import OptrackError


class ArchitectureError(OptrackError, ValueError):
    """Something is wrong with an architecture."""


class UnknownArchitectureError(ArchitectureError):
    """There is no architecture of that name."""


class MissingLibraryError(UnknownArchitectureError):
    """The architecture is one of a library that is not installed."""


class OwnArchitectureError(ArchitectureError):
    """A user-defined network is not a network, or does not take what an architecture takes."""


class BrokenContractError(OwnArchitectureError):
    """A network breaks the architecture contract."""


class PretrainedWeightsError(ArchitectureError):
    """Pretrained weights are neither in the cache nor to be had, or do not fit the architecture."""
