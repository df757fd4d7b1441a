"""What training takes: the fields of `TrainingConfig` are the hyperparameters that every family can fix or search."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from ..study import Parameter, keyword_parameters

Preset = Literal["none", "crop_flip", "crop_flip_cutout", "rotation_jitter", "stl10", "cifar10_convnet", "cinic10"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How a network is trained.

    Args:
        optimizer: adam (Kingma & Ba 2015), adamw (Loshchilov & Hutter 2019) or sgd.
        lr: peak learning rate.
        batch_size: images per step; a last batch of a single image is left out, as batch norm has no spread in it.
        weight_decay: L2 penalty (adam, sgd) or decoupled decay (adamw), per step.
        momentum: of sgd.
        nesterov: Nesterov's form of sgd's momentum; has no effect where momentum is 0.
        label_smoothing: share of each label that is spread over all classes (Szegedy et al. 2016).
        schedule: how the learning rate changes over the epochs, see `schedules`.
        warmup_epochs: linear rise of the learning rate at the beginning; with one_cycle the length of its rise,
            where 0 means 30 % of all steps.
        decay_epochs: epochs between two decays in schedule step.
        decay_patience: epochs without a lower validation loss after which schedule plateau decays.
        decay_factor: what step and plateau multiply the learning rate by.
        gradient_clip: largest L2 norm of the gradient; 0 for no limit.
        feature_lr_factor: learning rate of pretrained features relative to the head's; has no effect elsewhere.
        augmentation: a preset of `optrack.datasets.augmentation`, applied to each training batch.
        augmentation_strength: 0 leaves images as they are, 1 is the preset as named, more is more.
    """

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: Annotated[float, Gt(0)] = 1e-3
    batch_size: Annotated[int, Ge(1)] = 128
    weight_decay: Annotated[float, Ge(0)] = 0.0
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    nesterov: bool = False
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    schedule: Literal["constant", "cosine", "one_cycle", "step", "plateau"] = "constant"
    warmup_epochs: Annotated[float, Ge(0)] = 0.0
    decay_epochs: Annotated[int, Ge(1)] = 10
    decay_patience: Annotated[int, Ge(0)] = 3
    decay_factor: Annotated[float, Gt(0), Le(1)] = 0.1
    gradient_clip: Annotated[float, Ge(0)] = 0.0
    feature_lr_factor: Annotated[float, Gt(0)] = 1.0
    augmentation: Preset = "none"
    augmentation_strength: Annotated[float, Ge(0)] = 1.0

    def __post_init__(self) -> None:
        """Check every value; it stays as given, as what was trained before is known by a digest of its values."""
        for name, parameter in training_parameters().items():
            parameter.check(getattr(self, name))


@cache
def training_parameters() -> dict[str, Parameter]:
    """Return the hyperparameters of training by name."""
    return keyword_parameters(TrainingConfig)


def split_settings(settings: Mapping[str, Any]) -> tuple[TrainingConfig, dict[str, Any]]:
    """Split a family's fixed and searched values into what training takes and what the architecture takes.

    >>> split_settings({"lr": 0.1, "depth": 3})[1]
    {'depth': 3}
    """
    known = training_parameters()
    training = {name: value for name, value in settings.items() if name in known}
    return TrainingConfig(**training), {name: value for name, value in settings.items() if name not in known}
