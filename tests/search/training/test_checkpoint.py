import io
import math
import os
import pickle
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from optrack.datasets import Prepared
from optrack.search.study import EpochResult
from optrack.search.training import Job, checkpoint, loop, train
from optrack.search.training.checkpoint import Checkpoint

MakeJob = Callable[..., Job]


@pytest.fixture(autouse=True)
def torch_as_before() -> Iterator[None]:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)
    torch.use_deterministic_algorithms(False)


@pytest.fixture(autouse=True)
def after_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a checkpoint after each epoch, however short it is."""
    monkeypatch.setattr(checkpoint, "WRITING_SHARE", math.inf)


@pytest.fixture(autouse=True)
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The epochs that are really trained, in their order."""
    epochs: list[int] = []
    run_epoch = loop.run_epoch

    def counted(job: Job, epoch: int, *arguments: Any) -> EpochResult:
        epochs.append(epoch)
        return run_epoch(job, epoch, *arguments)

    monkeypatch.setattr(loop, "run_epoch", counted)
    return epochs


def numbers(results: list[EpochResult]) -> list[dict[str, Any]]:
    return [{name: value for name, value in asdict(result).items() if name != "seconds"} for result in results]


def placed(job: Job, folder: Path) -> Job:
    return replace(job, weights=folder / "weights.safetensors", checkpoint=folder / "checkpoint")


def killed(job: Job, *, in_epoch: int) -> list[EpochResult]:
    """Train until the process dies in the middle of an epoch, and return what was heard of it."""
    training: Any = train(job)
    results = [next(training) for _ in range(in_epoch)]  # what the last epoch says is lost with the process
    training.close()
    return results[:-1]


def weights_of(job: Job) -> bytes:
    assert job.weights is not None
    return job.weights.read_bytes()


MLP = {"width": 32, "dropout": 0.3, "batch_norm": True}


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adam", "weight_decay": 1e-3, "label_smoothing": 0.1},
        {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "warmup_epochs": 1.5},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "schedule": "one_cycle", "gradient_clip": 0.5},
        {"optimizer": "sgd", "lr": 0.5, "schedule": "plateau", "decay_patience": 0},
        {"optimizer": "sgd", "lr": 0.5, "schedule": "plateau", "decay_patience": 0, "validates": False},
        {"schedule": "step", "decay_epochs": 2, "metric": "val_loss"},
        {"augmentation": "rotation_jitter", "lr": 0.1},
        {"augmentation": "crop_flip_cutout", "patience": 1, "lr": 0.1},
    ],
)
@pytest.mark.parametrize("in_epoch", [2, 4])
def test_a_training_that_died_resumes_with_the_same_bits(
    in_epoch: int, settings: Any, job_of: MakeJob, tmp_path: Path, trained: list[int]
) -> None:
    job = job_of(epochs=6, model=MLP, **settings)
    through, resumed = placed(job, tmp_path / "through"), placed(job, tmp_path / "resumed")
    expected = list(train(through))
    trained.clear()
    before = killed(resumed, in_epoch=min(in_epoch, len(expected)))
    after = list(train(resumed))
    assert numbers(after) == numbers(expected)
    assert after[: len(before)] == before  # the seconds too
    assert weights_of(resumed) == weights_of(through)
    assert len(trained) == len(expected) + 1


@pytest.mark.parametrize(
    ("architecture", "model"),
    [
        ("lenet", {"batch_norm": True, "dropout": 0.2}),
        pytest.param("resnet18", {"trainable_blocks": 1}, marks=pytest.mark.slow),
    ],
)
def test_a_network_of_convolutions_wholly_trained_or_frozen_resumes_with_the_same_bits(
    architecture: str, model: Any, job_of: MakeJob, digits_16: Prepared, tmp_path: Path
) -> None:
    job = job_of(
        architecture=architecture, model=model, data=digits_16, epochs=2, batch_size=512, feature_lr_factor=0.1
    )
    through, resumed = placed(job, tmp_path / "through"), placed(job, tmp_path / "resumed")
    expected = list(train(through))
    killed(resumed, in_epoch=2)
    assert numbers(list(train(resumed))) == numbers(expected)
    assert weights_of(resumed) == weights_of(through)


@pytest.mark.parametrize("patience", [None, 1])
@pytest.mark.parametrize("deaths", [[1, 1, 2], [2, 3, 4], [4, 4, 5], [3, 6, 6, 6]])
def test_however_often_it_dies_each_death_costs_one_epoch_and_no_bit(
    deaths: list[int], patience: int | None, job_of: MakeJob, tmp_path: Path, trained: list[int]
) -> None:
    job = job_of(epochs=6, lr=0.1, patience=patience, augmentation="crop_flip", model=MLP)
    expected = numbers(list(train(job)))
    trained.clear()
    happened = [epoch for epoch in deaths if epoch <= len(expected)]
    for epoch in happened:
        killed(placed(job, tmp_path), in_epoch=epoch)
    assert numbers(list(train(placed(job, tmp_path)))) == expected
    assert len(trained) == len(expected) + len(happened)


OTHERS: list[dict[str, Any]] = [
    {"architecture": "logistic", "model": {}},
    {"source": "another digest"},
    {"model": {"width": 16}},
    {"lr": 0.02},
    {"augmentation": "crop_flip"},
    {"epochs": 5},
    {"patience": 3},
    {"validates": False},
    {"metric": "val_loss"},
    {"seed": 2},
    {"threads": 2},
]


@pytest.mark.parametrize("changes", OTHERS)
def test_a_checkpoint_of_another_training_is_not_resumed_from(
    changes: dict[str, Any], job_of: MakeJob, tmp_path: Path, trained: list[int]
) -> None:
    killed(placed(job_of(), tmp_path), in_epoch=3)
    job = job_of(**changes)
    trained.clear()
    assert numbers(list(train(placed(job, tmp_path)))) == numbers(list(train(job)))
    assert trained == 2 * list(range(1, job.epochs + 1))


@pytest.mark.parametrize("field", ["digest", "split_digest"])
def test_a_checkpoint_of_other_images_is_not_resumed_from(
    field: str, job_of: MakeJob, digits: Prepared, tmp_path: Path
) -> None:
    job = placed(job_of(), tmp_path)
    Checkpoint(job).write(lambda: {"results": [1]}, trained_seconds=1)
    assert Checkpoint(job).read() == {"results": [1]}
    assert Checkpoint(replace(job, data=replace(digits, **{field: "other"}))).read() is None


def test_a_checkpoint_of_another_version_of_torch_is_not_resumed_from(
    job_of: MakeJob, tmp_path: Path, trained: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(torch, "__version__", "2.6.0")
        killed(placed(job_of(), tmp_path), in_epoch=3)
    trained.clear()
    list(train(placed(job_of(), tmp_path)))
    assert trained == [1, 2, 3]


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def cut(content: bytes, position: int) -> bytes:
    return content[:position]


@pytest.mark.parametrize("at", [0.0, 1e-3, 0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("damage", [flipped, cut])
def test_a_damaged_checkpoint_does_no_harm(
    damage: Callable[[bytes, int], bytes], at: float, job_of: MakeJob, tmp_path: Path, trained: list[int]
) -> None:
    job = placed(job_of(), tmp_path)
    killed(job, in_epoch=3)
    file = tmp_path / "checkpoint"
    content = file.read_bytes()
    file.write_bytes(damage(content, int(at * (len(content) - 1))))
    trained.clear()
    assert numbers(list(train(job))) == numbers(list(train(job_of())))
    assert trained == 2 * [1, 2, 3]


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("made_by_a_checkpoint",)


def test_a_checkpoint_runs_no_code(
    job_of: MakeJob, tmp_path: Path, trained: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    torch.save({"digest": "", "state": Evil()}, buffer)
    for content in (buffer.getvalue(), pickle.dumps(Evil())):
        (tmp_path / "checkpoint").write_bytes(zlib.crc32(content).to_bytes(4, "big") + content)
        trained.clear()
        list(train(placed(job_of(), tmp_path)))
        assert trained == [1, 2, 3]
    assert not (tmp_path / "made_by_a_checkpoint").exists()


@pytest.mark.parametrize("part", ["model", "optimizer", "randomness"])
def test_a_state_that_the_training_does_not_take_back_does_no_harm(
    part: str, job_of: MakeJob, tmp_path: Path, trained: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = placed(job_of(), tmp_path)
    state = loop.Training.state
    with monkeypatch.context() as odd:
        odd.setattr(loop.Training, "state", lambda self: {**state(self), part: {}})  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
        killed(job, in_epoch=3)
    trained.clear()
    assert numbers(list(train(job))) == numbers(list(train(job_of())))
    assert trained == 2 * [1, 2, 3]


def test_a_state_that_cannot_be_had_does_no_harm(
    job_of: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_state(self: loop.Training) -> dict[str, Any]:
        raise RuntimeError("a network that does not tell its state")

    expected = numbers(list(train(job_of())))
    monkeypatch.setattr(loop.Training, "state", no_state)
    assert numbers(list(train(placed(job_of(), tmp_path)))) == expected


def test_a_place_where_nothing_can_be_written_does_no_harm(job_of: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    job = replace(job_of(), checkpoint=tmp_path / "file" / "checkpoint")
    assert numbers(list(train(job))) == numbers(list(train(job_of())))


def no_space(*_: object) -> None:
    raise OSError("no space left on device")


def test_a_write_that_does_not_come_to_its_end_leaves_the_checkpoint_before(
    job_of: MakeJob, tmp_path: Path, trained: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = placed(job_of(epochs=5), tmp_path)
    killed(job, in_epoch=3)
    with monkeypatch.context() as full:
        full.setattr(Path, "replace", no_space)
        killed(job, in_epoch=5)
    trained.clear()
    assert numbers(list(train(job))) == numbers(list(train(job_of(epochs=5))))
    assert trained == [3, 4, 5, 1, 2, 3, 4, 5]


def test_a_training_that_is_over_after_its_last_epoch_writes_none(job_of: MakeJob, tmp_path: Path) -> None:
    list(train(placed(job_of(epochs=1), tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]


@pytest.mark.parametrize(("size", "epochs"), [(0, [2, 4, 36, 68, 100]), (28, [16, 32, 64, 96])])
def test_checkpoints_are_as_far_apart_as_it_takes_to_cost_a_small_share_of_the_time(
    job_of: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, epochs: list[int]
) -> None:
    monkeypatch.setattr(checkpoint, "WRITING_SHARE", 1 / 256)
    monkeypatch.setattr(checkpoint, "USUAL_SECONDS", 1 / 256)
    monkeypatch.setattr(checkpoint, "USUAL_BYTES_PER_SECOND", 1024)
    now, written = [0.0], list[int]()
    monkeypatch.setattr(checkpoint, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def replace_file(_: Path, content: Any) -> None:
        written.append(content["state"]["epoch"])
        now[0] += 1 / 16

    monkeypatch.setattr(checkpoint, "replace_file", replace_file)
    kept = Checkpoint(placed(job_of(), tmp_path))
    for epoch in range(1, 101):
        state = {"epoch": epoch, "model": [{"weight": torch.zeros(size, dtype=torch.uint8)}]}
        kept.write(partial(dict[str, Any], state), trained_seconds=0.5)
    # The first one is taken to last 1/256 s, and the longer the larger it is; as each takes 1/16 s, there is one in
    # 16 s of training in the end.
    assert written == epochs


def test_a_slow_first_write_costs_no_checkpoint_of_the_next_epoch(
    job_of: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "WRITING_SHARE", 0.005)
    now, written, takes = [0.0], list[int](), iter([0.04, 0.004, 0.005, 0.02, 0.005, 0.005])
    monkeypatch.setattr(checkpoint, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def replace_file(_: Path, content: Any) -> None:
        written.append(content["state"]["epoch"])
        now[0] += next(takes)

    monkeypatch.setattr(checkpoint, "replace_file", replace_file)
    kept = Checkpoint(placed(job_of(), tmp_path))
    for epoch in range(1, 7):
        kept.write(partial(dict[str, Any], {"epoch": epoch}), trained_seconds=1.5)
    assert written == [1, 2, 3, 4, 5, 6]
