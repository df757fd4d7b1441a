"""The contract of architectures, checked with one forward and backward pass on a small batch, on the CPU."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..sources import undisturbed, why
from .errors import BrokenContractError

BATCH = 4
SEED = 0

TOO_FEW_VALUES = "more than 1 value per channel"
"""What torch's error says of a batch norm that is to be trained on a single value."""


def check_contract(
    name: str,
    build: Callable[..., nn.Module],
    input_shape: tuple[int, int, int],
    classes: int,
    settings: Mapping[str, Any],
) -> None:
    """Check that a network can be searched: trained, evaluated, stored and built again.

    Settings that are not given keep their defaults. The caller's random state is left as it is.

    Raises:
        BrokenContractError: it breaks the contract; one sentence says how.
    """

    def built(seed: int) -> nn.Module:
        torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]
        model = build(input_shape, classes, **settings)
        model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        return model

    with undisturbed(), torch.random.fork_rng(devices=[]):
        with told(name, "cannot be built"):
            model = built(SEED)
            images = torch.randn(BATCH, *input_shape).to(memory_format=torch.channels_last)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise BrokenContractError(f"{name} must have parameters to train, but has none")
        with told(name, "cannot be trained"):
            _check_training(name, model, images, classes)
        with told(name, "cannot be evaluated"):
            answers = _check_evaluation(name, model, images, classes)
        with told(name, "cannot be built again from its state_dict"):
            _check_round_trip(name, model, built(SEED + 1), images, answers)


def takes_single_images(
    build: Callable[..., nn.Module],
    input_shape: tuple[int, int, int],
    classes: int,
    settings: Mapping[str, Any],
    *,
    device: str,
) -> bool:
    """Whether a network can be trained on batches of one image; batch norm cannot where it has one value per channel.

    It must be one that can be built. On the device "meta" it takes no memory.
    """
    with undisturbed(), torch.random.fork_rng(devices=[]), torch.device(device):
        model = build(input_shape, classes, **settings).train()
        try:
            model(torch.zeros(1, *input_shape))
        except ValueError as error:
            if TOO_FEW_VALUES in str(error):
                return False
            raise
    return True


@contextmanager
def told(name: str, what: str) -> Generator[None]:
    """Turn whatever user code raises into one sentence with the line of their file."""
    try:
        yield
    except BrokenContractError:
        raise
    except Exception as error:
        raise BrokenContractError(f"{name} {what}{why(error, Path(name.rpartition(':')[0]))}") from error


def _check_logits(name: str, logits: object, images: Tensor, classes: int) -> Tensor:
    wanted = f"logits [B, classes], float, [{len(images)}, {classes}] for {list(images.shape)}"
    if not isinstance(logits, Tensor):
        raise BrokenContractError(f"{name} must give {wanted}, but gives a {type(logits).__name__}")
    if logits.shape != (len(images), classes) or not logits.is_floating_point():
        kind = str(logits.dtype).removeprefix("torch.")
        raise BrokenContractError(f"{name} must give {wanted}, but gives {list(logits.shape)}, {kind}")
    if not logits.isfinite().all():
        raise BrokenContractError(f"{name} must give finite logits, but gives NaN or infinity for ordinary images")
    return logits


def _check_training(name: str, model: nn.Module, images: Tensor, classes: int) -> None:
    """Check one forward and backward pass: each trainable parameter gets a gradient."""
    model.train()
    logits = _check_logits(name, model(images), images, classes)
    if not logits.requires_grad:
        raise BrokenContractError(f"{name} must give logits that depend on its parameters, but they get no gradient")
    labels = torch.arange(len(images)) % classes
    functional.cross_entropy(logits, labels).backward()  # pyright: ignore[reportUnknownMemberType]
    trained = {key: value for key, value in model.named_parameters() if value.requires_grad}
    missing = [key for key, value in trained.items() if value.grad is None]
    if missing:
        raise BrokenContractError(
            f"{name} must use every parameter, but {len(missing)} of {len(trained)} get no gradient, such as "
            f"{missing[0]}: use it in forward, or set its requires_grad to False"
        )
    infinite = [key for key, value in trained.items() if value.grad is not None and not value.grad.isfinite().all()]
    if infinite:
        raise BrokenContractError(f"{name} must have finite gradients, but that of {infinite[0]} is NaN or infinite")


@torch.no_grad()
def _check_evaluation(name: str, model: nn.Module, images: Tensor, classes: int) -> Tensor:
    """Check several images and a single one; the same ones give the same logits."""
    model.eval()
    answers = _check_logits(name, model(images), images, classes)
    _check_logits(name, model(images[:1]), images[:1], classes)
    if not torch.allclose(model(images), answers, atol=1e-4):
        raise BrokenContractError(
            f"{name} must give the same logits for the same images in evaluation, but does not: dropout must be off "
            "after eval()"
        )
    return answers


@torch.no_grad()
def _check_round_trip(name: str, model: nn.Module, again: nn.Module, images: Tensor, answers: Tensor) -> None:
    """Check that everything the network has learned is in its state_dict, which is all that is stored."""
    state: dict[str, Any] = model.state_dict()
    others = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise BrokenContractError(f"{name} must have only tensors in its state_dict, but {others[0]} is not a tensor")
    again.load_state_dict({key: value.clone() for key, value in state.items()})
    if not torch.allclose(again.eval()(images), answers, atol=1e-4):
        raise BrokenContractError(
            f"{name} must be the same again with its state_dict, but is not: hold all layers as attributes or in "
            "nn.ModuleList, and tensors as nn.Parameter or buffers"
        )
