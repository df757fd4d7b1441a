"""What is known about a study after its search: predictions, scores, the verdict."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
