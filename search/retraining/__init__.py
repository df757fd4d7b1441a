"""The best configurations trained again, on all images."""

from .retraining import retrain_study

__all__ = ["retrain_study"]
