"""Measure what an image costs each family of a study on this machine."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import torch

from ...architectures import architecture
from ..study import Family
from ..training import Normalisation, ResidentImages, evaluate, make_augment, make_optimizer, split_settings, train_step
from .estimate import FamilySpeed

SECONDS = 1.0  # of steps, for each family and again for validation
FEWEST_STEPS = 2
VALIDATION_IMAGES = 32


def measured_speeds(
    families: Sequence[Family], input_shape: tuple[int, int, int], classes: int, *, device: str
) -> tuple[FamilySpeed, ...]:
    """Train each family's first start configuration for a moment on random images, as a worker would.

    Pretrained weights are not loaded: with random ones a step takes as long. On the CPU one thread is used, as each of
    several workers uses.
    """
    with _one_thread():
        return tuple(_measured(family, input_shape, classes, torch.device(device)) for family in families)


def _measured(family: Family, input_shape: tuple[int, int, int], classes: int, device: torch.device) -> FamilySpeed:
    training, model_settings = split_settings({**family.options, **(family.start[0] if family.start else {})})
    model = architecture(family.architecture)(input_shape, classes, **model_settings)
    model.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = make_optimizer(training, model)
    images = _random_images(input_shape, classes, training.batch_size, device)
    augment = make_augment(training, torch.Generator().manual_seed(0))

    def step() -> None:
        train_step(training, training.lr, model, optimizer, *images.batch(images.train, augment))

    model.train()
    train_seconds = _seconds(step, device) / len(images.train)
    validation_seconds = _seconds(lambda: evaluate(model, images), device) / len(images.validation)
    return FamilySpeed(family=family.name, train_seconds=train_seconds, validation_seconds=validation_seconds)


def _random_images(
    input_shape: tuple[int, int, int], classes: int, batch_size: int, device: torch.device
) -> ResidentImages:
    """Make a batch to train on, and some images to validate on."""
    generator = torch.Generator().manual_seed(0)
    count = batch_size + VALIDATION_IMAGES
    positions = torch.arange(count, device=device)
    return ResidentImages(
        images=torch.randint(0, 256, (count, *input_shape), generator=generator, dtype=torch.uint8).to(device),
        labels=torch.randint(0, classes, (count,), generator=generator).to(device),
        train=positions[:batch_size],
        validation=positions[batch_size:],
        normalise=Normalisation([0.5] * input_shape[0], [0.25] * input_shape[0]).to(device),
        classes=classes,
    )


def _seconds(step: Callable[[], object], device: torch.device) -> float:
    """Time a step, leaving out the first one, which allocates and chooses algorithms."""
    step()
    started = _now(device)
    steps = 0
    while steps < FEWEST_STEPS or _now(device) - started < SECONDS:
        step()
        steps += 1
    return (_now(device) - started) / steps


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)  # a GPU's work is only ordered when the call returns
    return time.perf_counter()


@contextmanager
def _one_thread() -> Generator[None]:
    threads = torch.get_num_threads()
    state = torch.random.get_rng_state()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.random.set_rng_state(state)
