"""Training one trial: a `Job` goes in, an `EpochResult` comes out after each epoch."""

from .config import TrainingConfig, split_settings
from .job import METRICS, EpochResult, Job, improves
from .loop import train

__all__ = ["METRICS", "EpochResult", "Job", "TrainingConfig", "improves", "split_settings", "train"]
