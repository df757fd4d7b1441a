"""What an epoch measures, and which of two values of a metric is better."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

Item = TypeVar("Item")

MetricName = Literal["val_accuracy", "val_loss"]
"""What a study may compare by."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as it is stored, and its direction; a value that is None, NaN or infinite is never the best."""

    name: str
    maximize: bool

    @property
    def sign(self) -> float:
        """1.0 where a higher value is better, else -1.0: `sign * value` is to be maximized."""
        return 1.0 if self.maximize else -1.0

    def better(self, value: float | None, than: float | None) -> bool:
        """Whether a value is better than another one, or the first that counts at all.

        >>> loss = METRICS["val_loss"]
        >>> loss.better(0.1, 0.2), loss.better(0.2, 0.2), loss.better(0.2, None), loss.better(math.nan, None)
        (True, False, True, False)
        """
        if not _counts(value):
            return False
        return not _counts(than) or self.sign * (value or 0.0) > self.sign * (than or 0.0)

    def best_of(self, items: Iterable[Item], key: Callable[[Item], float | None]) -> Item | None:
        """Return the item with the best value, the first of equals; None where no value counts."""
        return next(iter(self.ranked(items, key)), None)

    def ranked(self, items: Iterable[Item], key: Callable[[Item], float | None]) -> list[Item]:
        """Return the items whose values count, the best first; equals stay in their order.

        >>> METRICS["val_accuracy"].ranked([0.5, math.nan, 0.75, None], key=lambda value: value)
        [0.75, 0.5]
        """
        counted = [item for item in items if _counts(key(item))]
        return sorted(counted, key=lambda item: -self.sign * (key(item) or 0.0))


def _counts(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("train_loss", maximize=False),
        Metric("train_accuracy", maximize=True),
        Metric("val_loss", maximize=False),
        Metric("val_accuracy", maximize=True),
    )
}

EPOCH_METRICS = (*METRICS, "lr", "seconds")
"""All that is recorded of an epoch, by name."""


DIVERGED = "diverged"
"""The first word of the reason for which a training ends whose loss is not finite any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """One finished epoch.

    Args:
        epoch: from 1 on.
        train_loss: mean cross-entropy over the epoch's steps, label smoothing included, while the weights changed.
        train_accuracy: share of correct predictions over the same steps, in [0, 1].
        val_loss: mean cross-entropy on the validation images after the epoch, without smoothing; None where the
            validation images are trained on.
        val_accuracy: share of correct predictions there, in [0, 1]; likewise.
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
        """Return everything measured, by name; without what was not."""
        values = {name: getattr(self, name) for name in EPOCH_METRICS}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def divergence(self) -> str | None:
        """How the training diverged in this epoch; None if the losses are finite."""
        return None if self.finite else f"{DIVERGED} in epoch {self.epoch}: the loss is not finite"

    @property
    def finite(self) -> bool:
        """Whether the losses are finite; once they are not, they never will be again."""
        return math.isfinite(self.train_loss) and (self.val_loss is None or math.isfinite(self.val_loss))


def best_epoch(epochs: Sequence[EpochResult], metric: MetricName) -> EpochResult | None:
    """Return the epoch with the best value of the metric, the first of equals; None where none is finite.

    An epoch whose loss is not finite does not count: a network of NaN has an accuracy, too.
    """
    finite = [result for result in epochs if result.finite]
    return METRICS[metric].best_of(finite, lambda result: result.metrics().get(metric))
