"""The command line: `optrack COMMAND`, one file a command."""

from .app import main

__all__ = ["main"]
