"""User code: found by `file.py:Name` or `module:Name`, run once, identified by its digest.

User-defined architectures and data sets and study files are loaded here. The user who names code decides that it
runs: nothing in this room looks for code by itself.
"""

from lazy_loader import attach_stub

if __name__ != "optrack.sources":
    raise ImportError("import optrack.sources, not sources: a second copy of the package would be loaded")

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
