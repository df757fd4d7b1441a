"""What training does for networks that come with pretrained weights, and with augmented images."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]
from torch import nn

from optrack.architectures import architecture
from optrack.architectures.transfer import TransferModel
from optrack.datasets.augmentation import PRESETS
from optrack.search.training import Job, TrainingConfig, train
from optrack.search.training.loop import make_optimizer

MakeJob = Callable[..., Job]


def numbers(job: Job) -> list[dict[str, Any]]:
    return [{name: value for name, value in asdict(result).items() if name != "seconds"} for result in train(job)]


def trained(job: Job) -> dict[str, torch.Tensor]:
    assert list(train(job))
    assert job.weights is not None
    return load_file(job.weights)


def fresh(job: Job) -> nn.Module:
    """The network as it is before the first step."""
    torch.manual_seed(job.seed)
    return architecture(job.architecture)((1, 16, 16), 10, **job.model)


def test_a_fixed_extractor_keeps_every_weight_and_every_statistic(job_of: MakeJob, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    job = job_of(architecture="resnet18", model={"trainable_blocks": 0}, epochs=1, batch_size=512, weights=weights)
    before, after = fresh(job).state_dict(), trained(job)
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]) == name.startswith("features"), name


@pytest.fixture
def weights_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of the published weights: the random ones, which any seed draws again."""

    def loaded(_: TransferModel) -> None:
        pass

    monkeypatch.setattr(TransferModel, "load_pretrained", loaded)


def test_pretrained_features_learn_at_their_own_rate(job_of: MakeJob) -> None:
    model = fresh(job_of(architecture="resnet18", model={"pretrained": True}))
    head, features = make_optimizer(TrainingConfig(feature_lr_factor=0.1), model).param_groups
    assert (head["lr_factor"], features["lr_factor"]) == (1.0, 0.1)
    assert sum(p.numel() for p in features["params"]) == 11_176_512
    assert sum(p.numel() for p in head["params"]) == 5_130


def test_without_pretrained_features_the_whole_network_learns_at_one_rate(job_of: MakeJob) -> None:
    for model in (fresh(job_of(architecture="resnet18", model={"pretrained": False})), nn.Linear(2, 2)):
        (only,) = make_optimizer(TrainingConfig(feature_lr_factor=0.1), model).param_groups
        assert only["lr_factor"] == 1.0
        assert len(only["params"]) == len(list(model.parameters()))


@pytest.mark.usefixtures("weights_at_hand")
def test_a_feature_rate_next_to_nothing_leaves_pretrained_features_alone_where_they_are(
    job_of: MakeJob, tmp_path: Path
) -> None:
    name = "features.conv1.weight"

    def moved(*, pretrained: bool, factor: float) -> float:
        job = job_of(
            architecture="resnet18",
            model={"pretrained": pretrained},
            epochs=1,
            batch_size=512,
            feature_lr_factor=factor,
            weights=tmp_path / f"{pretrained} {factor}.safetensors",
        )
        return float((trained(job)[name] - fresh(job).state_dict()[name]).abs().max())

    assert moved(pretrained=True, factor=1e-12) < 1e-7
    assert moved(pretrained=True, factor=1.0) > 1e-4
    assert moved(pretrained=False, factor=1e-12) > 1e-4


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "none"])
def test_augmented_training_gives_the_same_numbers_twice_and_others_than_without(preset: str, job_of: MakeJob) -> None:
    job = job_of(epochs=2, augmentation=preset)
    assert numbers(job) == numbers(job)
    assert numbers(job) != numbers(job_of(epochs=2))


def test_strength_0_is_no_augmentation(job_of: MakeJob) -> None:
    weak = numbers(job_of(epochs=1, augmentation="crop_flip", augmentation_strength=0.0))
    assert weak == numbers(job_of(epochs=1))
