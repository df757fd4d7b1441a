"""MLflow as a mirror of Optuna's storage: written beside the search, which never waits for it, and mended after it."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
