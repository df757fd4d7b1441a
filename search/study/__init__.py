"""What to search: studies, families, spaces, and how a study is found by its name. Values only."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
