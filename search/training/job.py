"""What travels to a worker: values without Optuna or MLflow, small enough for any pipe."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...datasets import Prepared
from ..study import MetricName
from .config import TrainingConfig

JobKey = tuple[str, int, int]
"""Family, trial and seed of a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training, of a trial or of a configuration that a search found.

    Args:
        family: its name, for messages.
        trial: its number in the family.
        architecture: a registered name, or a reference to a user-defined network.
        source: SHA-256 of the file that defines a user-defined network; None for registered ones.
        model: hyperparameters of the architecture.
        training: how it is trained.
        data: the prepared images.
        epochs: most epochs, and the length of the learning rate schedule.
        patience: epochs without improvement of the metric after which training ends; None for no limit.
        validates: False trains on the validation images too, for all epochs, and keeps the last epoch's weights.
        metric: chooses the best epoch.
        seed: of initialisation, order of images and dropout; in [0, 2^63).
        device: a torch device, e.g. "cpu" or "cuda:0".
        threads: of torch on the CPU; another number rounds differently.
        weights: file for the best epoch's weights (safetensors), written when training ends; None for no file.
        checkpoint: file that the training resumes from, rewritten while it goes on; None for no file.
    """

    family: str
    trial: int
    architecture: str
    source: str | None = None
    model: Mapping[str, Any] = field(default_factory=dict[str, Any])
    training: TrainingConfig = field(default_factory=TrainingConfig)
    data: Prepared
    epochs: int
    patience: int | None = None
    validates: bool = True
    metric: MetricName = "val_accuracy"
    seed: int
    device: str = "cpu"
    threads: int = 1
    weights: Path | None = None
    checkpoint: Path | None = None

    @property
    def key(self) -> JobKey:
        """Identify the job among all of its study; the configurations of a race share their seeds."""
        return (self.family, self.trial, self.seed)

    def digest(self, **more: object) -> str:
        """Return a hash of all that the result depends on, except for where it is trained, and of what is added."""
        content = {
            "architecture": self.architecture,
            **({} if self.source is None else {"source": self.source}),
            "model": dict(self.model),
            "training": asdict(self.training),
            "data": [self.data.digest, self.data.split_digest],
            "epochs": self.epochs,
            "patience": self.patience,
            "metric": self.metric,
            "seed": self.seed,
            **more,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
