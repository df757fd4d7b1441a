"""Training one trial: a `Job` goes in, an `EpochResult` comes out after each epoch."""

from .config import TrainingConfig, split_settings
from .job import EpochResult, Job, best_epoch
from .loop import train

__all__ = ["EpochResult", "Job", "TrainingConfig", "best_epoch", "split_settings", "train"]
