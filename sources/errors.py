"""The errors of this room.

SourceError(ValueError)         code that is not there, or does not run
└── SourceChangedError          code that is not what it was
"""


class SourceError(ValueError):
    """Code is not there, or does not run; one line says where and why."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class SourceChangedError(SourceError):
    """Code is not what it was."""
