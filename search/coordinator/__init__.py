"""The search: proposes configurations, dispatches them, records epochs, prunes."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
