"""Training one trial: a `Job` goes in, an `EpochResult` comes out after each epoch."""

from typing import TYPE_CHECKING

from ...sources import lazily

if TYPE_CHECKING:
    from .config import TrainingConfig, split_settings, training_parameters
    from .images import Normalisation, ResidentImages, resident
    from .job import Job, JobKey
    from .jobs import Jobs
    from .loop import VALIDATION_BATCH, evaluate, make_augment, make_model, make_optimizer, train, train_step
    from .own_code import SOURCE_FOLDER, OwnCode, data_code, network_code
    from .randomness import Randomness

__all__ = [
    "SOURCE_FOLDER",
    "VALIDATION_BATCH",
    "Job",
    "JobKey",
    "Jobs",
    "Normalisation",
    "OwnCode",
    "Randomness",
    "ResidentImages",
    "TrainingConfig",
    "data_code",
    "evaluate",
    "make_augment",
    "make_model",
    "make_optimizer",
    "network_code",
    "resident",
    "split_settings",
    "train",
    "train_step",
    "training_parameters",
]

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept any misspelt name
    __getattr__ = lazily(
        __name__,
        {
            "config": ["TrainingConfig", "split_settings", "training_parameters"],
            "images": ["Normalisation", "ResidentImages", "resident"],
            "job": ["Job", "JobKey"],
            "jobs": ["Jobs"],
            "loop": [
                "VALIDATION_BATCH",
                "evaluate",
                "make_augment",
                "make_model",
                "make_optimizer",
                "train",
                "train_step",
            ],
            "own_code": ["SOURCE_FOLDER", "OwnCode", "data_code", "network_code"],
            "randomness": ["Randomness"],
        },
    )
