"""Search for the best configuration of image classifiers: studies, training, bookkeeping and the command line."""

from lazy_loader import attach_stub

if __name__ != "optrack.search":
    raise ImportError("import optrack.search, not search: a second copy of the package would be loaded")

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
