"""Image data for searches: found, checked, decoded once, split by class, shared by all workers.

`prepare` does the slow part once and caches it; the small value that it returns is sent to the workers, which map the
cached images into memory with `open_prepared`. Neither gives access to test images; `optrack.datasets.prepared.sealed`
does, which is not part of this face.
"""

from lazy_loader import attach_stub

if __name__ != "optrack.datasets":
    raise ImportError("import optrack.datasets, not datasets: a second copy of the package would be loaded")

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
