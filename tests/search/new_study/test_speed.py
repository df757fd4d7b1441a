from dataclasses import replace

import pytest
import torch

from optrack.search import Categorical, Family, Float
from optrack.search.new_study import speed
from optrack.search.new_study.speed import measured_speeds

FAMILIES = (
    Family("linear", architecture="logistic", options={"batch_size": 4}, space={"lr": Float(1e-4, 1e-2)}),
    Family(
        "deep",
        architecture="lenet",
        options={"batch_norm": True, "augmentation": "rotation_jitter"},
        space={"lr": Float(1e-4, 1e-2, log=True), "batch_size": Categorical(8, 16)},
        start=[{"lr": 1e-3, "batch_size": 8}],
    ),
)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "SECONDS", 0.02)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_family_is_measured_in_its_first_start_configuration(channels: int) -> None:
    speeds = measured_speeds(FAMILIES, (channels, 16, 16), 3, device="cpu")
    assert [each.family for each in speeds] == ["linear", "deep"]
    assert all(each.train_seconds > 0 and each.validation_seconds > 0 for each in speeds)


def test_torch_is_left_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    measured_speeds(FAMILIES, (1, 16, 16), 3, device="cpu")
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_a_pretrained_family_is_measured_without_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("weights were asked for")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    family = Family(
        "frozen",
        architecture="resnet18",
        options={"pretrained": True, "trainable_blocks": 0, "batch_size": 2},
        space={"lr": Float(1e-4, 1e-2)},
    )
    [found] = measured_speeds([family, *()], (3, 32, 32), 2, device="cpu")
    assert found.train_seconds > 0
    assert replace(found, family="other") != found


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_is_measured_until_its_work_is_done() -> None:
    speeds = measured_speeds(FAMILIES, (3, 16, 16), 3, device="cuda:0")
    assert all(each.train_seconds > 0 for each in speeds)
