import base64
import json
import logging
import re
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from optrack.architectures import architecture
from optrack.search import StudyError
from optrack.search.champions.champion import load_folder, save_folder
from optrack.search.champions.mlflow_model import save_model
from optrack.search.champions.recipe import Recipe
from optrack.search.pyfunc import ChampionPredictor

CLASSES = ["stop", "give way", "50 km/h"]


def saved(folder: Path, channels: int) -> Path:
    """A model of MLflow's in a folder."""
    configuration: dict[str, Any] = {
        "study": "mine",
        "family": "small",
        "architecture": "lenet",
        "model": {},
        "input": [channels, 28, 28],
        "classes": CLASSES,
        "mean": [0.3] * channels,
        "std": [0.2] * channels,
        "data": {"image_size": 28},
    }
    torch.manual_seed(1)
    state = architecture("lenet")((channels, 28, 28), len(CLASSES)).state_dict()
    save_folder(folder / "champion", state=state, recipe=Recipe.model_validate(configuration))
    save_model(folder / "model", folder / "champion", Recipe.model_validate(configuration))
    return folder / "model"


@pytest.fixture(scope="module")
def colour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("colour"), 3)


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("grey"), 1)


def loaded(model: Path) -> Any:
    return import_module("mlflow.pyfunc").load_model(str(model))


def predicted(model: Path, images: Any) -> Any:
    return loaded(model).predict(images)


def received(model: Any, request: Any) -> Any:
    """What MLflow's server makes of a request."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what the server imports
        server = import_module("mlflow.pyfunc.scoring_server")
    return server.infer_and_parse_data(json.loads(json.dumps(request)), model.metadata.get_input_schema())


def random_images(*shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_a_model_lies_open_with_weights_configuration_and_the_versions_it_needs(colour: Path) -> None:
    names = {path.name for path in colour.iterdir()}
    assert names == {
        *("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"),
        *("weights.safetensors", "configuration.json"),
    }
    requirements = (colour / "requirements.txt").read_text().split()
    assert {line.split("==")[0] for line in requirements} >= {"optrack", "torch", "mlflow", "pillow"}
    assert all("+" not in line for line in requirements)


def test_what_lies_in_the_current_folder_does_not_get_into_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uv.lock").write_text("version = 1\n")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'secret'\nversion = '1'\n")
    monkeypatch.chdir(tmp_path)
    model = saved(tmp_path / "there", 1)
    assert not any("secret" in path.read_text(errors="ignore") for path in model.iterdir())
    assert not (model / "uv.lock").exists()


def test_predictions_are_the_champion_s(colour: Path) -> None:
    images = random_images(4, 28, 28, 3)
    found = predicted(colour, images)
    expected = load_folder(colour).probabilities(images.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(found["probabilities"].tolist(), expected, atol=1e-6)
    assert found["label"].tolist() == [CLASSES[index] for index in expected.argmax(axis=1)]
    assert found["confidence"].tolist() == pytest.approx(expected.max(axis=1).tolist())


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        ((4, 28, 28, 3), 4),
        ((2, 50, 40, 3), 2),
        ((2, 28, 28, 4), 2),
        ((2, 28, 28, 1), 2),
        ((2, 28, 28), 2),
        ((28, 28, 3), 1),
        ((28, 28, 1), 1),
        ((28, 28), 1),
        ((0, 28, 28, 3), 0),
    ],
)
@pytest.mark.parametrize("model", ["colour", "grey"])
def test_each_shape_that_images_come_in_gives_a_row_per_image(
    model: str, shape: tuple[int, ...], count: int, request: pytest.FixtureRequest
) -> None:
    assert len(predicted(request.getfixturevalue(model), random_images(*shape))) == count


def test_one_image_alone_is_what_it_is_among_others(grey: Path) -> None:
    images = random_images(3, 28, 28, 1)
    rows = predicted(grey, images)["probabilities"].tolist()
    for alone in (images[1], images[1, ..., 0], images[1:2, ..., 0]):
        assert predicted(grey, alone)["probabilities"].tolist()[0] == pytest.approx(rows[1], abs=1e-6)


def test_images_of_different_sizes_come_as_an_array_of_arrays(colour: Path) -> None:
    images = np.empty(2, dtype=object)
    images[:] = [random_images(28, 28, 3), random_images(60, 30, 3)]
    found = predicted(colour, images)
    assert found["confidence"][0] == pytest.approx(predicted(colour, images[0])["confidence"][0], abs=1e-6)
    assert found["confidence"][1] == pytest.approx(predicted(colour, images[1])["confidence"][0], abs=1e-6)


@pytest.mark.parametrize("model", ["colour", "grey"])
@pytest.mark.parametrize("count", [3, 4])
def test_one_image_with_its_channels_first_is_not_taken_for_several_grey_ones(
    model: str, count: int, request: pytest.FixtureRequest
) -> None:
    folder, images = request.getfixturevalue(model), random_images(count, 20, 28)
    message = (
        f"an array of shape [{count}, 20, 28] may be one image with its channels first, or {count} grey ones: "
        f"give [20, 28, {count}] for one, [{count}, 20, 28, 1] for several"
    )
    with pytest.raises(StudyError, match=re.escape(message)):
        predicted(folder, images)
    with pytest.raises(StudyError, match=re.escape(message)):
        loaded(folder).predict(received(loaded(folder), {"inputs": images.tolist()}))
    assert len(predicted(folder, images.transpose(1, 2, 0))) == 1
    assert len(predicted(folder, images[..., np.newaxis])) == count


def test_grey_images_that_are_given_one_by_one_are_what_they_are(grey: Path) -> None:
    images = random_images(3, 28, 28)
    separate = np.empty(3, dtype=object)
    separate[:] = list(images)
    expected = predicted(grey, images[..., np.newaxis])["probabilities"].tolist()
    assert predicted(grey, separate)["probabilities"].tolist() == expected
    assert ChampionPredictor(load_folder(grey)).predict(list(images))["probabilities"].tolist() == expected


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 3, 28, 28), np.uint8), r"but got \[3, 28, 28\]; the channels come last"),
        (np.zeros((1, 28, 28, 3)), "integers from 0 to 255, but got float64"),
        (np.full((1, 28, 28, 3), 300), "integers from 0 to 255, but got 300 to 300"),
        (np.full((1, 28, 28, 3), -1), "integers from 0 to 255, but got -1 to -1"),
        (np.zeros((1, 28, 28, 5), np.uint8), r"must be \[H, W\] or \[H, W, 1, 3 or 4\], but got \[28, 28, 5\]"),
        (np.array(3), r"but got \[\]"),
        (np.array(["stop"]), "image 0 cannot be read: not JPEG, .* or PPM; a text must be an image file"),
        (np.array(["no"]), "not base64; a text must be an image file in base64"),
    ],
)
def test_what_is_no_image_is_refused(images: Any, message: str, colour: Path) -> None:
    with pytest.raises(StudyError, match=message):
        predicted(colour, images)


@pytest.mark.parametrize("key", ["inputs", "instances"])
def test_what_mlflow_s_server_receives_gives_the_same_answer_as_json(key: str, colour: Path, tmp_path: Path) -> None:
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    images = random_images(2, 28, 28, 3)
    model = loaded(colour)
    with (tmp_path / "answer.json").open("w") as file:
        parsed = received(model, {key: images.tolist()})
        import_module("mlflow.pyfunc.scoring_server").predictions_to_json(model.predict(parsed), file)
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer == {"predictions": model.predict(images).to_dict(orient="records")}


def test_a_server_s_images_between_0_and_1_are_refused_rather_than_taken_for_black(colour: Path) -> None:
    model = loaded(colour)
    parsed = received(model, {"inputs": (random_images(1, 28, 28, 3) / 255).tolist()})
    with pytest.raises(StudyError, match="integers from 0 to 255, but got float64"):
        model.predict(parsed)


@pytest.fixture
def photographs(tmp_path: Path) -> list[Path]:
    """Files of several formats and sizes."""
    files = [tmp_path / name for name in ("large.jpg", "small.png", "grey.png", "clear.png")]
    Image.fromarray(random_images(300, 260, 3)).save(files[0])
    Image.fromarray(random_images(28, 28, 3)).save(files[1])
    Image.fromarray(random_images(40, 30)).save(files[2])
    Image.fromarray(random_images(33, 44, 4)).save(files[3])
    return files


@pytest.mark.parametrize("model", ["colour", "grey"])
def test_files_in_base64_get_the_answers_that_predict_gives(
    model: str, photographs: list[Path], request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(model)
    texts = [base64.b64encode(file.read_bytes()).decode() for file in photographs]
    found = loaded(folder).predict(received(loaded(folder), {"inputs": texts}))
    champion = load_folder(folder)
    expected = champion.probabilities(champion.prepare_images(photographs))
    assert np.array_equal(np.array(found["probabilities"].tolist(), dtype=np.float32), expected)


def test_a_file_in_base64_that_is_broken_is_refused(photographs: list[Path], colour: Path) -> None:
    whole = photographs[0].read_bytes()
    text = base64.b64encode(whole[: len(whole) // 2]).decode()
    with pytest.raises(StudyError, match="image 0 cannot be read: image file is truncated"):
        predicted(colour, np.array([text], dtype=object))
