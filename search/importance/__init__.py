"""Which hyperparameters matter, and Optuna's figures."""

from .drawings import figures
from .importance import Importances, importances
from .page import write_page
from .resampling import CONFIDENCE

__all__ = ["CONFIDENCE", "Importances", "figures", "importances", "write_page"]
