"""User code: found by `file.py:Name` or `module:Name`, run once, identified by its digest.

User-defined architectures and data sets and study files are loaded here. The user who names code decides that it
runs: nothing in this room looks for code by itself.
"""

if __name__ != "optrack.sources":
    raise ImportError("import optrack.sources, not sources: a second copy of the package would be loaded")

from .errors import OptrackError, SourceChangedError, SourceError, did_you_mean, unknown
from .lazy import lazily
from .own import Own, is_own, load_own, read_source
from .python_file import line_of, run_file, why

__all__ = [
    "OptrackError",
    "Own",
    "SourceChangedError",
    "SourceError",
    "did_you_mean",
    "is_own",
    "lazily",
    "line_of",
    "load_own",
    "read_source",
    "run_file",
    "unknown",
    "why",
]
