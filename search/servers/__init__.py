"""Servers on this machine: MLflow's UI, optuna-dashboard, and the page that classifies dropped images."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
