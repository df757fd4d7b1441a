import socket
from pathlib import Path

import pytest
import torch

from optrack.architectures import architecture
from optrack.architectures.pretrained_weights import weights_file
from optrack.search.new_study.transfer_weights import PATIENCE_SECONDS, transfer_weights
from optrack.sources.torchvision_compat import models


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no network."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    return tmp_path / "checkpoints"


def refuse(*arguments: object, **options: object) -> None:
    assert socket.getdefaulttimeout() == PATIENCE_SECONDS
    raise OSError("no network")


def keep(name: str) -> Path:
    file = weights_file(models.get_model_weights(name).IMAGENET1K_V1.url)
    file.parent.mkdir(exist_ok=True)
    torch.save(models.get_model(name, weights=None).state_dict(), file)
    return file


def test_weights_in_the_cache_are_taken_and_the_small_network_first() -> None:
    keep("resnet18")
    assert transfer_weights().architecture == "resnet18"
    keep("mobilenet_v2")
    found = transfer_weights()
    assert (found.architecture, found.missing) == ("mobilenet_v2", None)


def test_without_any_it_is_said_which_file_is_missing_and_where_to_put_it(cache: Path) -> None:
    found = transfer_weights()
    assert found.architecture is None
    assert found.missing is not None
    assert "\n" not in found.missing
    for word in ("mobilenet_v2-b0353104.pth", str(cache), "https://download.pytorch.org/", "no network"):
        assert word in found.missing
    assert socket.getdefaulttimeout() is None


def test_what_is_not_there_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(url: str, destination: str, hash_prefix: str | None, *, progress: bool) -> None:
        torch.save(models.get_model("mobilenet_v2", weights=None).state_dict(), destination)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert transfer_weights().architecture == "mobilenet_v2"


def test_a_broken_file_is_named(cache: Path) -> None:
    keep("mobilenet_v2").write_bytes(b"")
    found = transfer_weights()
    assert found.architecture is None
    assert f"cannot be read from {cache / 'mobilenet_v2-b0353104.pth'}" in str(found.missing)


def test_both_networks_are_architectures() -> None:
    assert {architecture(name).__name__ for name in ("mobilenet_v2", "resnet18")} == {"mobilenet_v2", "resnet18"}
