"""The training of one trial, epoch by epoch."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn
from torch.nn import functional

from ...architectures import architecture
from ...architectures.transfer import Transferable
from ...datasets import open_prepared
from ...datasets.augmentation import preset
from ..study import EpochResult, best_epoch
from .checkpoint import Checkpoint
from .config import TrainingConfig
from .images import Augment, ResidentImages, resident
from .job import Job
from .randomness import Randomness
from .schedules import learning_rate

# Larger batches are slower on the CPU: 2,048 images ran at half the speed of 1,024.
VALIDATION_BATCH = 1024


@dataclass(slots=True, kw_only=True)
class Training:
    """All that changes from epoch to epoch.

    Attributes:
        model: on the job's device.
        optimizer: of its trainable parameters.
        randomness: the training's own.
        results: of the epochs so far; early stopping and schedule plateau have no other memory.
        best_weights: on the CPU, of the best epoch so far; empty where no weights are wanted.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    randomness: Randomness
    results: list[EpochResult] = field(default_factory=list[EpochResult])
    best_weights: dict[str, Tensor] = field(default_factory=dict[str, Tensor])

    @classmethod
    def of(cls, job: Job, images: ResidentImages) -> "Training":
        """Return a training before its first epoch."""
        randomness = Randomness(job.seed, images.images.device, job.threads)
        with randomness.active():
            model = make_model(job, images).to(images.images.device)
            return cls(model=model, optimizer=make_optimizer(job.training, model), randomness=randomness)

    @classmethod
    def resumed(cls, job: Job, images: ResidentImages, checkpoint: Checkpoint) -> "Training":
        """Return a training that goes on where its checkpoint is, or one before its first epoch."""
        state = checkpoint.read()
        if state is not None:
            with suppress(Exception):  # a user-defined network that does not take its own state back starts over
                training = cls.of(job, images)
                training.load_state(state)
                return training
        return cls.of(job, images)

    def state(self) -> dict[str, Any]:
        """Return what `load_state` takes."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "randomness": self.randomness.state(),
            "results": [asdict(result) for result in self.results],
            "best_weights": self.best_weights,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.randomness.load_state(state["randomness"])
        self.results = [EpochResult(**result) for result in state["results"]]
        self.best_weights = state["best_weights"]


def train(job: Job) -> Iterator[EpochResult]:
    """Train one trial and yield a result after each epoch.

    On the CPU a job is reproducible bit for bit, whatever runs before, between or beside its epochs; torch's global
    random state, thread count and determinism flag are restored whenever a result is yielded. Closing the generator
    stops the training without writing weights. When it ends by itself (all epochs, patience, or a loss that is not
    finite) the best epoch's weights are written to `job.weights`, or the last epoch's without validation.

    Where `job.checkpoint` is the checkpoint of an earlier attempt, the results of its epochs are yielded as they were,
    and training resumes after them.

    Raises:
        DataError: the prepared images are gone.
        ValueError: the architecture does not accept the images or its hyperparameters.
    """
    images = resident(open_prepared(job.data), torch.device(job.device))
    checkpoint = Checkpoint(job)
    training = Training.resumed(job, images, checkpoint)
    yield from training.results
    for epoch in range(len(training.results) + 1, job.epochs + 1):
        with training.randomness.active():
            result, best = next_epoch(job, epoch, training, images)
        yield result
        if not result.finite:
            break
        if job.patience is not None and best is not None and epoch - best.epoch >= job.patience:
            break
        if epoch < job.epochs:
            checkpoint.write(training.state, trained_seconds=result.seconds)

    if job.weights is not None and training.best_weights:
        job.weights.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in training.best_weights.items()}, job.weights)


def next_epoch(
    job: Job, epoch: int, training: Training, images: ResidentImages
) -> tuple[EpochResult, EpochResult | None]:
    """Train one more epoch, and return its result and the best one so far; None while no value is finite."""
    # Schedule plateau has nothing else to go by where the validation images are trained on.
    val_losses = [before.train_loss if before.val_loss is None else before.val_loss for before in training.results]
    result = run_epoch(job, epoch, training.model, training.optimizer, images, training.randomness, val_losses)
    training.results.append(result)
    best = best_epoch(training.results, job.metric) if job.validates else result
    if best is result and job.weights is not None:
        state = training.model.state_dict()
        training.best_weights = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
    return result, best


def make_model(job: Job, images: ResidentImages) -> nn.Module:
    """Return the network before its first step, channels last in memory, on the CPU."""
    build = architecture(job.architecture, source=job.source)
    model: nn.Module = build(images.input_shape, images.classes, **job.model)
    if isinstance(model, Transferable):
        model.load_pretrained()
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return model


def run_epoch(
    job: Job,
    epoch: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: ResidentImages,
    randomness: Randomness,
    val_losses: list[float],
) -> EpochResult:
    """Train on all training images and evaluate on the validation images, or train on both."""
    started = time.perf_counter()
    positions = images.train if job.validates else torch.cat([images.train, images.validation])
    batches = shuffled_batches(positions, job.training.batch_size, randomness.order)
    augment = make_augment(job.training, randomness.augmentation)
    model.train()
    loss_sum = torch.zeros((), device=images.images.device)
    correct = torch.zeros((), dtype=torch.int64, device=images.images.device)
    lr = job.training.lr
    for position, batch in enumerate(batches):
        step = (epoch - 1) * len(batches) + position
        lr = learning_rate(
            job.training, step=step, steps_per_epoch=len(batches), epochs=job.epochs, val_losses=val_losses
        )
        loss, logits, labels = train_step(job.training, lr, model, optimizer, *images.batch(batch, augment))
        loss_sum += loss * len(batch)
        correct += (logits.argmax(1) == labels).sum()
    seen = sum(len(batch) for batch in batches)
    val_loss, val_accuracy = evaluate(model, images) if job.validates else (None, None)
    return EpochResult(
        epoch=epoch,
        train_loss=float(loss_sum) / seen,
        train_accuracy=float(correct) / seen,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        lr=lr,
        seconds=time.perf_counter() - started,
    )


def train_step(
    config: TrainingConfig,
    lr: float,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Take one optimizer step on images float32 [B, C, H, W] with labels int64 [B]; the model is changed in place.

    Returns:
        Mean loss [], logits [B, classes] and labels [B], all on the device, without gradient.
    """
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_factor"]
    optimizer.zero_grad(set_to_none=True)
    logits = model(images)
    loss = functional.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
    loss.backward()
    if config.gradient_clip:
        nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
    optimizer.step()
    return loss.detach(), logits.detach(), labels


def make_augment(config: TrainingConfig, generator: torch.Generator) -> Augment | None:
    """Return the training augmentation, which draws from a generator on the CPU; None without augmentation."""
    if config.augmentation == "none" or config.augmentation_strength == 0:
        return None
    augmentation = preset(config.augmentation, config.augmentation_strength)
    return lambda images: augmentation(images, generator)


def shuffled_batches(positions: Tensor, batch_size: int, order: torch.Generator) -> list[Tensor]:
    """Return all positions in random order, split into batches; a last batch of one image is dropped.

    The order is drawn on the CPU, so that it is the same on every device.
    """
    shuffled = positions[torch.randperm(len(positions), generator=order).to(positions.device)]
    batches = list(torch.split(shuffled, batch_size))
    return batches[:-1] if len(batches) > 1 and len(batches[-1]) == 1 else batches


@torch.inference_mode()
def evaluate(model: nn.Module, images: ResidentImages) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy on the validation images, in evaluation mode."""
    model.eval()
    loss_sum = torch.zeros((), device=images.images.device)
    correct = torch.zeros((), dtype=torch.int64, device=images.images.device)
    for batch in torch.split(images.validation, VALIDATION_BATCH):
        inputs, labels = images.batch(batch)
        logits = model(inputs)
        loss_sum += functional.cross_entropy(logits, labels, reduction="sum")
        correct += (logits.argmax(1) == labels).sum()
    count = len(images.validation)
    return float(loss_sum) / count, float(correct) / count


def make_optimizer(config: TrainingConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of all trainable parameters; pretrained features have their own learning rate."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    features = model.feature_parameters() if isinstance(model, Transferable) else []
    of_features = {id(parameter) for parameter in features}
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in trained if id(parameter) not in of_features], "lr_factor": 1.0},
        {"params": features, "lr_factor": config.feature_lr_factor},
    ]
    parameters = [group for group in groups if group["params"]]
    common: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    match config.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, **common)
        case "adamw":
            return torch.optim.AdamW(parameters, **common)
        case "sgd":
            nesterov = config.nesterov and config.momentum > 0
            return torch.optim.SGD(parameters, momentum=config.momentum, nesterov=nesterov, **common)
