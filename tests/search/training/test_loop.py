import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn
from torch.nn import functional

from optrack.architectures import architecture
from optrack.datasets import DataError, Prepared, open_prepared
from optrack.search.launchers import EpochEnded, JobEnded, ProcessLauncher
from optrack.search.training import EpochResult, Job, train
from optrack.search.training.images import resident
from optrack.search.training.loop import evaluate, make_optimizer, run_epoch, shuffled_batches
from optrack.search.training.randomness import Randomness
from optrack.search.training.schedules import plateaus

CPU = torch.device("cpu")
MakeJob = Callable[..., Job]


@pytest.fixture(autouse=True)
def torch_as_before() -> Iterator[None]:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)
    torch.use_deterministic_algorithms(False)


def numbers(results: Iterator[EpochResult] | list[EpochResult]) -> list[dict[str, Any]]:
    """All but the seconds."""
    return [{name: value for name, value in asdict(result).items() if name != "seconds"} for result in results]


def plain_training(job: Job, steps: int) -> dict[str, Tensor]:
    """The same training as anyone would write it down, without anything of the loop's."""
    config, data = job.training, open_prepared(job.data)
    order = torch.Generator().manual_seed(job.seed)
    torch.manual_seed(job.seed)
    torch.set_num_threads(job.threads)
    model = architecture(job.architecture)(data.images.shape[1:], len(data.classes), **job.model).train()
    optimizer: torch.optim.Optimizer = {
        "adam": lambda: torch.optim.Adam(model.parameters(), config.lr, weight_decay=config.weight_decay),
        "adamw": lambda: torch.optim.AdamW(model.parameters(), config.lr, weight_decay=config.weight_decay),
        "sgd": lambda: torch.optim.SGD(
            model.parameters(), config.lr, config.momentum, weight_decay=config.weight_decay, nesterov=config.nesterov
        ),
    }[config.optimizer]()
    mean, std = (255 * torch.tensor(values).view(1, -1, 1, 1) for values in (data.mean, data.std))
    positions = torch.from_numpy(data.train.copy() if job.validates else np.concatenate([data.train, data.validation]))
    shuffled = positions[torch.randperm(len(positions), generator=order)]
    for step in range(steps):
        batch = shuffled[step * config.batch_size : (step + 1) * config.batch_size].numpy()
        images = (torch.from_numpy(data.images[batch]).float() - mean) / std
        loss = functional.cross_entropy(
            model(images), torch.from_numpy(data.labels[batch]), label_smoothing=config.label_smoothing
        )
        optimizer.zero_grad()
        loss.backward()
        if config.gradient_clip:
            nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
        optimizer.step()
    return model.state_dict()


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adam"},
        {"optimizer": "adam", "weight_decay": 0.1, "label_smoothing": 0.2},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "sgd", "momentum": 0.0, "lr": 0.1},
        {"optimizer": "sgd", "nesterov": True, "weight_decay": 0.01, "lr": 0.1},
        {"optimizer": "sgd", "gradient_clip": 0.05, "lr": 0.1},
    ],
)
@pytest.mark.parametrize(
    ("name", "model"), [("mlp", {"width": 32, "dropout": 0.2, "batch_norm": True}), ("lenet", {}), ("logistic", {})]
)
def test_three_steps_give_the_weights_of_a_plain_training(
    name: str, model: Any, settings: Any, job_of: MakeJob, digits_16: Prepared, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    # 1,149 training images make three batches.
    job = job_of(architecture=name, model=model, data=digits_16, epochs=1, batch_size=384, weights=weights, **settings)
    list(train(job))
    plain = plain_training(job, steps=3)
    ours = load_file(weights)
    assert ours.keys() == plain.keys()
    for key, tensor in plain.items():
        torch.testing.assert_close(ours[key], tensor, rtol=0, atol=1e-6, msg=key)


def test_without_validation_all_images_are_trained_on_and_the_last_weights_are_kept(
    job_of: MakeJob, digits_16: Prepared, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    # 1,437 images make four batches, the last one of them the shorter.
    job = job_of(architecture="lenet", model={}, data=digits_16, epochs=1, batch_size=384, weights=weights)
    job = replace(job, validates=False)
    [result] = train(job)
    assert result.metrics().keys() == {"train_loss", "train_accuracy", "lr", "seconds"}
    plain, ours = plain_training(job, steps=4), load_file(weights)
    for key, tensor in plain.items():
        torch.testing.assert_close(ours[key], tensor, rtol=0, atol=1e-5, msg=lambda text, key=key: f"{key}: {text}")


def test_without_validation_no_epoch_counts_as_the_best_but_the_last(job_of: MakeJob, tmp_path: Path) -> None:
    weights = {epochs: tmp_path / f"{epochs}.safetensors" for epochs in (2, 3)}
    # A learning rate that jumps about: a best epoch would not be the last for long.
    for epochs, file in weights.items():
        list(train(replace(job_of(epochs=epochs, lr=0.3, weights=file), validates=False, patience=1)))
    two, three = (load_file(file) for file in weights.values())
    assert any(not torch.equal(two[key], three[key]) for key in two)


def test_schedule_plateau_looks_at_the_training_loss_where_nothing_validates(job_of: MakeJob) -> None:
    options = {"schedule": "plateau", "decay_patience": 0, "lr": 1.0, "optimizer": "sgd", "epochs": 8}
    results = list(train(replace(job_of(**options), validates=False)))
    losses = [result.train_loss for result in results]
    expected = [0.1 ** plateaus(losses[:epoch], patience=0) for epoch in range(len(results))]
    assert [result.lr for result in results] == pytest.approx(expected)
    assert expected[-1] < 1


@pytest.mark.parametrize("name", ["logistic", "mlp", "lenet", "lenet_fcn", "lenet3"])
def test_small_architectures_learn_a_few_images_by_heart(name: str, job_of: MakeJob, digits_16: Prepared) -> None:
    images = resident(open_prepared(digits_16), CPU)
    few = replace(images, train=images.train[:64], validation=images.train[:64])
    job = job_of(architecture=name, model={}, epochs=40, batch_size=16, lr=3e-3)
    torch.manual_seed(0)
    model: nn.Module = architecture(name)(few.input_shape, few.classes)
    optimizer, randomness = make_optimizer(job.training, model), Randomness(0, CPU, threads=1)
    results = [run_epoch(job, epoch, model, optimizer, few, randomness, []) for epoch in range(1, 41)]
    assert results[-1].train_accuracy > 0.99
    assert results[-1].metrics()["val_accuracy"] > 0.99
    assert results[-1].metrics()["val_loss"] < results[0].metrics()["val_loss"] / 4


def test_the_digits_are_learnt(job_of: MakeJob) -> None:
    *_, last = train(job_of(epochs=8))
    assert last.metrics()["val_accuracy"] > 0.9


def test_the_same_job_gives_the_same_numbers_twice(job_of: MakeJob) -> None:
    assert numbers(train(job_of())) == numbers(train(job_of()))


def test_another_seed_gives_other_numbers(job_of: MakeJob) -> None:
    first, second = numbers(train(job_of(seed=1))), numbers(train(job_of(seed=2)))
    assert all(one != other for one, other in zip(first, second, strict=True))


def test_what_the_caller_does_between_epochs_changes_no_number(job_of: MakeJob) -> None:
    expected = numbers(train(job_of()))
    disturbed: list[EpochResult] = []
    for number, result in enumerate(train(job_of())):
        disturbed.append(result)
        torch.manual_seed(number)
        torch.rand(5)
        torch.set_num_threads(1 + number % 2)
        torch.use_deterministic_algorithms(number % 2 == 0)
    assert numbers(disturbed) == expected


def test_two_trainings_that_take_turns_give_the_numbers_that_each_has_alone(job_of: MakeJob) -> None:
    first, second = job_of(seed=1), job_of(seed=2, optimizer="sgd")
    turns = list(zip(train(first), train(second), strict=True))
    assert numbers([one for one, _ in turns]) == numbers(train(first))
    assert numbers([other for _, other in turns]) == numbers(train(second))


def test_a_training_leaves_torchs_global_state_to_the_caller(job_of: MakeJob) -> None:
    torch.set_num_threads(2)
    state = torch.get_rng_state()
    training = train(job_of(epochs=2))
    for _ in training:
        assert torch.get_num_threads() == 2
        assert torch.equal(torch.get_rng_state(), state)
        assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(TypeError):
        next(train(job_of(model={"no_such": 1})))
    assert torch.get_num_threads() == 2
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()


def in_workers(launcher: ProcessLauncher, jobs: list[Job]) -> dict[int, list[EpochResult]]:
    """Train jobs side by side."""
    found: dict[int, list[EpochResult]] = {job.trial: [] for job in jobs}
    for job in jobs:
        launcher.submit(job)
    ended = 0
    while ended < len(jobs):
        event = launcher.next_event(60)
        match event:
            case EpochEnded():
                _, trial, _ = event.key
                found[trial].append(event.result)
                launcher.answer(event.key, go_on=True)
            case JobEnded():
                ended += 1
            case _:
                raise AssertionError(event)
    return found


def test_workers_alone_and_side_by_side_give_the_numbers_of_this_process(job_of: MakeJob, digits_16: Prepared) -> None:
    jobs = [
        job_of(trial=0),
        job_of(trial=1, architecture="lenet", model={"dropout": 0.1, "batch_norm": True}, data=digits_16, seed=5),
    ]
    expected = [numbers(train(job)) for job in jobs]
    launcher = ProcessLauncher(devices=("cpu", "cpu"), threads=1)
    try:
        beside = in_workers(launcher, jobs)
        alone = {**in_workers(launcher, [jobs[1]]), **in_workers(launcher, [jobs[0]])}
    finally:
        launcher.close()
    assert [numbers(beside[trial]) for trial in (0, 1)] == expected
    assert [numbers(alone[trial]) for trial in (0, 1)] == expected


def best_of(results: list[EpochResult], metric: str) -> EpochResult:
    values = [result.metrics()[metric] for result in results]
    return results[values.index(max(values) if metric == "val_accuracy" else min(values))]


@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
@pytest.mark.parametrize("patience", [1, 3])
def test_training_ends_after_so_many_epochs_without_a_better_value(metric: str, patience: int, job_of: MakeJob) -> None:
    full = list(train(job_of(epochs=40, lr=0.05, metric=metric)))
    results = list(train(job_of(epochs=40, lr=0.05, metric=metric, patience=patience)))
    assert numbers(results) == numbers(full[: len(results)])
    assert len(results) == best_of(results, metric).epoch + patience
    assert patience < len(results) < 40
    assert len(full) == 40


def evaluated(job: Job) -> tuple[float, float]:
    """Loss and accuracy on the validation images of the weights that the job wrote."""
    assert job.weights is not None
    images = resident(open_prepared(job.data), CPU)
    model: nn.Module = architecture(job.architecture)(images.input_shape, images.classes, **job.model)
    model.load_state_dict(load_file(job.weights))
    return evaluate(model, images)


@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
def test_the_weights_are_those_of_the_best_epoch(metric: str, job_of: MakeJob, tmp_path: Path) -> None:
    model = {"width": 32, "batch_norm": True}
    job = job_of(epochs=8, lr=0.3, model=model, metric=metric, weights=tmp_path / "deep" / "er" / "w.safetensors")
    results = list(train(job))
    best = best_of(results, metric)
    assert best.epoch < 8
    loss, accuracy = evaluated(job)
    assert accuracy == best.val_accuracy
    assert math.isclose(loss, best.metrics()["val_loss"], rel_tol=1e-5)


def test_a_training_that_is_closed_writes_no_weights(job_of: MakeJob, tmp_path: Path) -> None:
    training: Any = train(job_of(weights=tmp_path / "w.safetensors"))
    next(training)
    next(training)
    training.close()
    assert list(tmp_path.iterdir()) == []


def test_a_training_without_a_file_for_weights_writes_nothing(
    job_of: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    list(train(job_of(epochs=1)))
    assert list(tmp_path.iterdir()) == []


def test_a_training_whose_loss_is_no_number_ends_with_that_epoch(job_of: MakeJob) -> None:
    results = list(train(job_of(epochs=30, optimizer="sgd", lr=1e9, model={"width": 32, "depth": 3})))
    assert len(results) < 30
    assert not results[-1].finite
    assert all(result.finite for result in results[:-1])


def test_figures_of_an_epoch_are_means_over_its_images(job_of: MakeJob, digits: Prepared) -> None:
    results = list(train(job_of(epochs=4, schedule="step", decay_epochs=2, decay_factor=0.5, lr=0.01)))
    assert [result.epoch for result in results] == [1, 2, 3, 4]
    assert [result.lr for result in results] == [0.01, 0.01, 0.005, 0.005]
    for result in results:
        for share, images in [
            (result.train_accuracy, digits.train_images),
            (result.metrics()["val_accuracy"], digits.validation_images),
        ]:
            assert math.isclose(share * images, round(share * images), abs_tol=1e-6)
        assert result.seconds > 0


def test_label_smoothing_is_in_the_training_loss_and_not_in_the_validation_loss(job_of: MakeJob) -> None:
    *_, smoothed = train(job_of(epochs=12, label_smoothing=0.5))
    # The smallest loss that half of a label spread over ten classes leaves.
    floor = -(0.55 * math.log(0.55) + 9 * 0.05 * math.log(0.05))
    assert smoothed.train_loss > floor
    assert smoothed.metrics()["val_loss"] < floor


@pytest.mark.parametrize(
    ("images", "batch_size", "sizes"),
    [(9, 4, [4, 4]), (8, 4, [4, 4]), (10, 4, [4, 4, 2]), (1, 4, [1]), (3, 4, [3]), (3, 1, [1, 1])],
)
def test_a_last_batch_of_one_image_is_left_out(images: int, batch_size: int, sizes: list[int]) -> None:
    positions = torch.arange(100, 100 + images)
    batches = shuffled_batches(positions, batch_size, torch.Generator().manual_seed(0))
    assert [len(batch) for batch in batches] == sizes
    seen = [int(position) for batch in batches for position in batch]
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(range(100, 100 + images))


def test_batch_norm_trains_where_the_last_batch_has_one_image(job_of: MakeJob, digits: Prepared) -> None:
    [result] = train(job_of(epochs=1, batch_size=digits.train_images - 1, model={"batch_norm": True}))
    assert math.isfinite(result.train_loss)


def test_every_epoch_has_an_order_of_its_own() -> None:
    order = torch.Generator().manual_seed(0)
    first, second = (torch.cat(shuffled_batches(torch.arange(50), 8, order)) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, second.sort().values)


def test_parameters_that_are_frozen_are_not_given_to_the_optimizer(job_of: MakeJob) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(requires_grad=False)
    [group] = make_optimizer(job_of().training, model).param_groups
    assert [parameter is own for parameter, own in zip(group["params"], model[1].parameters(), strict=True)] == [
        True,
        True,
    ]


def test_images_that_are_gone_are_an_error_of_the_data(job_of: MakeJob, digits: Prepared, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="prepare it again"):
        next(train(job_of(data=replace(digits, folder=tmp_path / "gone"))))
