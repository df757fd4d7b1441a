"""Training one trial: a `Job` goes in, an `EpochResult` comes out after each epoch."""

from ..study.metric import EpochResult, best_epoch
from .config import TrainingConfig, split_settings
from .job import Job
from .loop import train

__all__ = ["EpochResult", "Job", "TrainingConfig", "best_epoch", "split_settings", "train"]
