"""Files of pretrained weights."""

from pathlib import Path

import pytest
import torch
from torch import nn

from optrack.architectures import PretrainedWeightsError
from optrack.architectures.pretrained_weights import fetch, load_into, read, weights_file

URL = "https://example.org/models/net-0123abcd.pth"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    return tmp_path / "checkpoints"


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def test_a_missing_file_is_fetched_once_with_its_hash(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None]] = []

    def download(url: str, destination: str, hash_prefix: str | None, *, progress: bool) -> None:
        asked.append((url, hash_prefix))
        Path(destination).write_bytes(b"weights")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert fetch("net", URL) == fetch("net", URL) == weights_file(URL) == cache / "net-0123abcd.pth"
    assert asked == [(URL, "0123abcd")]


def test_a_fetched_file_with_another_hash_is_refused_in_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*arguments: object, **options: object) -> None:
        raise RuntimeError('invalid hash value (expected "0123abcd", got "ffff")')

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(PretrainedWeightsError, match=r"put net-0123abcd\.pth into .*invalid hash value"):
        fetch("net", URL)


@pytest.mark.parametrize("content", [b"", b"broken", b"no weights at all", b"PK\x03\x04 a broken archive"])
def test_a_broken_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "net.pth"
    file.write_bytes(content)
    with pytest.raises(PretrainedWeightsError) as caught:
        read("net", file)
    assert str(caught.value).startswith(f"the pretrained weights of net cannot be read from {file}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"weight": torch.zeros(1)}}, {}])
def test_a_file_without_weights_is_refused(tmp_path: Path, content: object) -> None:
    file = tmp_path / "net.pth"
    torch.save(content, file)
    with pytest.raises(PretrainedWeightsError, match=r"it holds none$"):
        read("net", file)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    file = tmp_path / "net.pth"
    torch.save(network(), file)  # a module, which only code can make again
    with pytest.raises(PretrainedWeightsError, match="cannot be read"):
        read("net", file)


def test_files_without_counts_of_batches_are_taken(tmp_path: Path) -> None:
    source, target = network(), network()
    weights = {key: value for key, value in source.state_dict().items() if not key.endswith("num_batches_tracked")}
    load_into(target, weights, "net", tmp_path)
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in target.state_dict().items())


def test_what_does_not_fit_is_said_and_nothing_is_loaded(tmp_path: Path) -> None:
    target = network()
    before = {key: value.clone() for key, value in target.state_dict().items()}
    weights = {**before, "0.weight": torch.zeros(8, 3, 3, 3), "9.bias": torch.zeros(1)}
    del weights["1.bias"]
    with pytest.raises(PretrainedWeightsError) as caught:
        load_into(target, weights, "net", tmp_path)
    assert str(caught.value) == (
        f"the weights in {tmp_path} do not fit net: 1 tensors are missing, such as 1.bias; 1 are not of it, such as "
        "9.bias; 1 have another shape, such as 0.weight: [8, 3, 3, 3] in place of [4, 3, 3, 3]"
    )
    assert all(torch.equal(value, before[key]) for key, value in target.state_dict().items())
