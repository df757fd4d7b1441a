import inspect
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
import pytest
import torch
import typer
from PIL import Image
from torch import nn

from optrack.architectures import ARCHITECTURES, architecture
from optrack.search import StudyError, champions
from optrack.search.champions.champion import Champion
from optrack.search.champions.onnx_export import TOLERANCE, export
from optrack.search.champions.recipe import Recipe
from optrack.search.cli.export import export as export_command

CLASSES = ["stop", "give way", "50 km/h", "é"]


def champion_of(name: str = "lenet", size: int = 28, channels: int = 1, **model: Any) -> Champion:
    torch.manual_seed(1)
    network: Any = architecture(name)((channels, size, size), len(CLASSES), **model).eval()
    configuration = {
        "study": "mine",
        "family": "small",
        "architecture": name,
        "model": model,
        "input": [channels, size, size],
        "classes": CLASSES,
        "mean": [0.3, 0.4, 0.5][:channels],
        "std": [0.2, 0.0, 0.3][:channels],
        "data": {"image_size": size},
    }
    return Champion(recipe=Recipe.model_validate(configuration), model=network.to(memory_format=torch.channels_last))


def logits_of(path: Path, images: Any) -> Any:
    session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"images": images})
    return logits


def random_images(count: int, *shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(99).integers(0, 256, (count, *shape), dtype=np.uint8)


def smallest(name: str) -> tuple[int, dict[str, Any]]:
    """The smallest image and, where they can be chosen, narrow layers: the graph is the same."""
    parameters = inspect.signature(architecture(name).__init__).parameters.values()
    narrow = {
        parameter.name: min(parameter.default, 32)
        for parameter in parameters
        if parameter.name.startswith(("filters", "width")) and isinstance(parameter.default, int)
    }
    return vars(architecture(name))["minimum_image_size"], narrow


@pytest.mark.slow
# torch traces each in 1 to 2 seconds, and those of torchvision, which are deep whatever their image, in 4 to 10.
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_registered_architecture_gives_the_same_logits_in_onnx_for_any_number_of_images(
    name: str, tmp_path: Path
) -> None:
    size, narrow = smallest(name)
    champion = champion_of(name, size, 3, **narrow)
    path = tmp_path / "model.onnx"
    assert export(champion, path) < TOLERANCE
    for count in (1, 7):
        images = random_images(count, 3, size, size)
        expected = champion.logits(images)
        assert np.abs(logits_of(path, images) - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export(champion_of(), path)
    return path


def test_a_file_takes_raw_pixels_and_says_what_its_logits_mean(exported: Path) -> None:
    model: Any = onnx.load(exported)
    onnx.checker.check_model(model)
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "classes": json.dumps(CLASSES),
        "study": "mine",
        "family": "small",
        "image_size": "[28, 28]",
    }
    (images,), (logits,) = model.graph.input, model.graph.output
    assert (images.name, logits.name) == ("images", "logits")
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [side.dim_value for side in images.type.tensor_type.shape.dim] == [0, 1, 28, 28]
    assert [side.dim_value for side in logits.type.tensor_type.shape.dim] == [0, len(CLASSES)]
    assert [path.name for path in exported.parent.iterdir()] == ["model.onnx"]


def test_the_documented_example_answers_a_picture_that_is_not_square_as_predict_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    champion = champion_of(size=28, channels=3)
    export(champion, tmp_path / "winner.onnx")
    (tmp_path / "new").mkdir()
    picture = tmp_path / "new/one.jpg"  # without loss, whatever its name: a JPEG is decoded smaller by predict
    Image.fromarray(random_images(1, 60, 90, 3)[0]).save(picture, format="PNG")
    page = (Path(__file__).parents[3] / "docs/using-the-winner.md").read_text()
    (example,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "onnxruntime" in block)
    monkeypatch.chdir(tmp_path)
    exec(example, {})  # noqa: S102 - what the page says
    said = np.array(re.findall(r"-?\d+\.\d*(?:e-?\d+)?", capsys.readouterr().out), dtype=np.float64)
    expected = champion.logits(champion.prepare_images([picture]))[0]
    assert np.abs(said - expected).max() < 1e-4 * np.abs(expected).max()


def test_nothing_is_said_and_the_network_is_left_as_it_was(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    champion = champion_of("logistic", 4)
    images = random_images(3, 1, 4, 4)
    before = champion.logits(images)
    export(champion, tmp_path / "model.onnx")
    assert np.array_equal(champion.logits(images), before)
    assert capfd.readouterr() == ("", "")


class Moody(nn.Module):
    """Says something else while it is exported."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scale = self.factor if torch.compiler.is_exporting() else 1.0
        return images.flatten(1)[:, :4] * scale


@pytest.mark.parametrize("factor", [1.001, float("nan")])
def test_a_file_that_disagrees_with_torch_is_not_written(factor: float, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("an earlier one")
    champion = replace(champion_of("logistic", 4), model=Moody(factor))
    with pytest.raises(StudyError, match=r"nothing was exported: the logits .* differ from torch's by .* 0.0001 is al"):
        export(champion, path)
    assert path.read_text() == "an earlier one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"cannot be written: there is no folder .*gone"):
        export(champion_of("logistic", 4), tmp_path / "gone" / "model.onnx")
    with pytest.raises(StudyError, match="cannot be written: it is a folder"):
        export(champion_of("logistic", 4), tmp_path)


def test_the_command_writes_a_file_named_after_the_champion_and_says_how_close_it_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: Callable[..., typer.Context],
) -> None:
    asked: list[Any] = []

    def load(study: str, family: str | None, *, tracking_uri: str, run_source: str | None) -> Champion:
        asked.append((study, family, tracking_uri, run_source))
        return champion_of("logistic", 4)

    monkeypatch.setattr(champions, "load_champion", load)
    monkeypatch.chdir(tmp_path)
    export_command(
        typed("export", "mine"),
        "mine",
        family="small",
        run_source="net.py",
        tracking_uri="sqlite:///here.db",
        as_json=True,
    )
    answer = json.loads(capsys.readouterr().out)
    assert asked == [("mine", "small", "sqlite:///here.db", "net.py")]
    assert (answer["study"], answer["family"], answer["classes"]) == ("mine", "small", CLASSES)
    assert (answer["output"], answer["input"]) == ("mine.small.onnx", [1, 4, 4])
    assert answer["bytes"] == (tmp_path / "mine.small.onnx").stat().st_size
    assert 0 <= answer["difference"] < TOLERANCE
    export_command(typed("export", "digits"), "digits", output=tmp_path / "other.onnx")
    text = capsys.readouterr().out
    assert "small of mine, " in text
    assert "images uint8 [N, 1, 4, 4] to logits [N, 4]" in text
    assert (tmp_path / "other.onnx").is_file()
