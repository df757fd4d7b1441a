"""Where things lie, and what counts as a difference, unless a command is told otherwise."""

from pathlib import Path

STORAGE = "sqlite:///optuna.db"
TRACKING_URI = "sqlite:///mlflow.db"
DATA_DIR = Path("data")
CACHE_DIR = Path(".optrack/cache")

MARGIN = 0.005
"""The least difference of two families' accuracies that matters, as a share."""
