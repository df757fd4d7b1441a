"""Where things lie unless a command is told otherwise."""

from pathlib import Path

STORAGE = "sqlite:///optuna.db"
TRACKING_URI = "sqlite:///mlflow.db"
DATA_DIR = Path("data")
CACHE_DIR = Path(".optrack/cache")
