"""Launchers carry jobs to workers: `inline` in this process, `processes` on this machine's cores or GPUs."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
