"""What travels to a worker and what comes back: values without Optuna or MLflow, small enough for any pipe."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...datasets import Prepared
from ..study.metric import EPOCH_METRICS, METRICS, MetricName
from .config import TrainingConfig

JobKey = tuple[str, int, int]
"""Family, trial and seed of a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training, of a trial or of a configuration that a search found.

    Args:
        family: name of the family, for messages.
        trial: number of the trial in its family.
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

    @property
    def key(self) -> JobKey:
        """Identify the job among all of its study; the configurations of a race share their seeds."""
        return (self.family, self.trial, self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """One finished epoch.

    Args:
        epoch: from 1 on.
        train_loss: mean cross-entropy over the epoch's steps, label smoothing included, as the weights changed.
        train_accuracy: share of correct predictions over the same steps, in [0, 1].
        val_loss: mean cross-entropy on the validation images after the epoch, without smoothing; None when these are
            trained on.
        val_accuracy: share of correct predictions on them, in [0, 1]; likewise.
        lr: learning rate of the epoch's last step.
        seconds: wall-clock time of the epoch, validation included.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    lr: float
    seconds: float

    def metrics(self) -> dict[str, float]:
        """Return all values but the epoch's number, by name."""
        values = {name: getattr(self, name) for name in EPOCH_METRICS}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def finite(self) -> bool:
        """Whether the losses are finite; once they are not, they never will be again."""
        return math.isfinite(self.train_loss) and (self.val_loss is None or math.isfinite(self.val_loss))


def best_epoch(epochs: Sequence[EpochResult], metric: MetricName) -> EpochResult | None:
    """Return the epoch with the best value of the metric, the first of equals; None where no value is finite."""
    return METRICS[metric].best_of(epochs, lambda result: result.metrics().get(metric))
