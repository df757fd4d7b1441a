"""A trained network with all that is needed to use it, and where it is kept."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
