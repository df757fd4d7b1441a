import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from optrack.architectures import architecture, transfer
from optrack.datasets import Prepared, open_prepared
from optrack.datasets.store.decoding import read_image
from optrack.search import NothingStoredError, OptrackError, StudyError
from optrack.search.champions.champion import Champion, load_folder, picture, save_folder
from optrack.search.champions.recipe import Recipe
from optrack.search.training import train
from optrack.search.training.images import resident
from optrack.search.training.loop import VALIDATION_BATCH


def configuration_of(**changes: Any) -> dict[str, Any]:
    return {
        "study": "mine",
        "family": "small",
        "trial": 3,
        "architecture": "lenet",
        "model": {"batch_norm": True},
        "seed": 7,
        "input": [1, 28, 28],
        "classes": ["zero", "one", "two"],
        "mean": [0.3],
        "std": [0.2],
        "data": {"name": "digits", "digest": "abc", "image_size": 28},
    } | changes


def state_of(configuration: Mapping[str, Any]) -> dict[str, Tensor]:
    torch.manual_seed(1)
    made = architecture(configuration["architecture"])
    return made(tuple(configuration["input"]), len(configuration["classes"]), **configuration["model"]).state_dict()


def champion_of(folder: Path, **changes: Any) -> Champion:
    configuration = configuration_of(**changes)
    save_folder(folder, state=state_of(configuration), recipe=Recipe.model_validate(configuration))
    return load_folder(folder)


def random_images(count: int, *shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def test_a_champion_says_what_training_s_evaluation_says_bit_by_bit(
    tmp_path: Path, digits: Prepared, job_of: Any
) -> None:
    job = job_of(architecture="convnet_deep", model={}, epochs=1, weights=tmp_path / "weights.safetensors")
    (result,) = train(job)
    data = open_prepared(digits)
    configuration = configuration_of(
        architecture=job.architecture,
        model={},
        input=list(digits.input_shape),
        classes=list(digits.classes),
        mean=list(data.mean),
        std=list(data.std),
        data={"image_size": None},
    )
    (tmp_path / "configuration.json").write_text(json.dumps(configuration))
    champion = load_folder(tmp_path)
    images = resident(data, torch.device("cpu"))
    with torch.inference_mode():
        batches = [images.batch(part) for part in torch.split(images.validation, VALIDATION_BATCH)]
        expected = torch.cat([champion.model(inputs) for inputs, _ in batches]).numpy()
    logits = champion.logits(data.images[data.validation])
    assert np.array_equal(logits, expected)
    assert (logits.argmax(axis=1) == data.labels[data.validation]).mean() == pytest.approx(result.val_accuracy)


def test_a_loaded_network_evaluates_and_leaves_torch_s_random_numbers_alone(tmp_path: Path) -> None:
    configuration = configuration_of(model={"dropout": 0.5})
    save_folder(tmp_path, state=state_of(configuration), recipe=Recipe.model_validate(configuration))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    champion = load_folder(tmp_path)
    assert torch.equal(torch.rand(3), expected)
    assert not any(module.training for module in champion.model.modules())
    images = random_images(4, 1, 28, 28)
    assert np.array_equal(champion.logits(images), champion.logits(images))


def test_probabilities_sum_to_one_and_no_images_give_no_rows(tmp_path: Path) -> None:
    champion = champion_of(tmp_path)
    assert champion.probabilities(random_images(3, 1, 28, 28)).sum(axis=1) == pytest.approx([1.0] * 3)
    assert champion.logits(random_images(0, 1, 28, 28)).shape == (0, 3)
    assert champion.prepare_images([]).shape == (0, 1, 28, 28)


def test_a_tensor_an_array_and_a_turned_one_say_the_same(tmp_path: Path) -> None:
    champion = champion_of(tmp_path)
    images = random_images(5, 1, 28, 28)
    expected = champion.logits(images)
    assert np.array_equal(champion.logits(torch.from_numpy(images)), expected)
    turned = images[::-1]
    turned.setflags(write=False)
    np.testing.assert_allclose(champion.logits(turned)[::-1], expected, atol=1e-6)


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 1, 28, 27), np.uint8), np.zeros((1, 28, 28), np.uint8), np.zeros((2, 1, 28, 28), np.float32)],
)
def test_images_of_another_shape_or_type_are_refused(images: Any, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"images must be uint8 \[N, 1, 28, 28\] for small, but got"):
        champion_of(tmp_path).logits(images)


def test_a_pretrained_network_is_rebuilt_without_its_pretrained_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"architecture": "resnet18", "model": {"pretrained": True, "trainable_blocks": 0}, "mean": [0.3] * 3}
    configuration = configuration_of(**changes, std=[0.2] * 3, input=[3, 32, 32])
    save_folder(tmp_path, state=state_of(configuration), recipe=Recipe.model_validate(configuration))

    def fail(model: Any) -> None:
        raise AssertionError("pretrained weights were asked for")

    monkeypatch.setattr(transfer.TransferModel, "load_pretrained", fail)
    assert load_folder(tmp_path).logits(random_images(1, 3, 32, 32)).shape == (1, 3)


@pytest.mark.parametrize(("mode", "size"), [("RGB", (40, 30)), ("RGBA", (30, 30)), ("L", (28, 28)), ("P", (9, 31))])
def test_images_are_converted_as_the_cache_of_a_data_set_converts_their_files(
    mode: str, size: tuple[int, int], tmp_path: Path
) -> None:
    champion = champion_of(tmp_path / "champion", input=[3, 28, 28], mean=[0.3] * 3, std=[0.2] * 3)
    image = Image.fromarray(random_images(1, *reversed(size), 4)[0]).convert(mode)
    image.save(tmp_path / "image.png")
    expected = read_image(tmp_path / "image.png", grey=False, image_size=28)
    assert isinstance(expected, np.ndarray)
    with Image.open(tmp_path / "image.png") as opened:
        prepared = champion.prepare_images([image, opened, tmp_path / "image.png"])
    assert np.array_equal(prepared, np.stack([expected] * 3))


def test_a_photo_is_turned_upright_and_decoded_as_in_the_cache(tmp_path: Path) -> None:
    champion = champion_of(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "photo.jpg"
    Image.fromarray(random_images(1, 300, 200, 3)[0]).save(path, exif=exif)
    expected = read_image(path, grey=True, image_size=28)
    assert isinstance(expected, np.ndarray)
    with Image.open(io.BytesIO(path.read_bytes())) as opened:
        assert np.array_equal(champion.prepare_images([opened])[0], expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_file_and_the_same_photo_as_an_array_get_the_same_answer(channels: int, tmp_path: Path) -> None:
    shape = {"input": [channels, 28, 28], "mean": [0.3] * channels, "std": [0.2] * channels}
    champion = champion_of(tmp_path / "champion", **shape)
    path = tmp_path / "photo.jpg"
    Image.fromarray(random_images(1, 90, 120, 3)[0]).resize((1200, 900), Image.Resampling.BICUBIC).save(path)
    with Image.open(path) as opened:
        pixels = np.asarray(opened)
    prepared = champion.prepare_images([path, pixels, Image.fromarray(pixels)])
    assert np.array_equal(prepared, np.stack([prepared[0]] * 3))
    assert np.array_equal(champion.prepare_images(pixels), prepared[:1])
    probabilities = champion.probabilities(prepared)
    assert np.array_equal(probabilities, np.stack([probabilities[0]] * 3))


def test_images_that_were_taken_as_they_came_are_cut_and_resized_to_the_shape_of_the_network(tmp_path: Path) -> None:
    champion = champion_of(tmp_path, architecture="logistic", model={}, input=[1, 20, 30], data={"name": "own"})
    fitting, larger = random_images(1, 20, 30)[0], random_images(1, 60, 60)[0]
    prepared = champion.prepare_images([fitting, larger])
    assert np.array_equal(prepared[0, 0], fitting)
    middle = Image.fromarray(larger).resize((30, 20), Image.Resampling.BICUBIC, box=(0, 10, 60, 50))
    assert np.array_equal(prepared[1, 0], np.asarray(middle))


@given(dtype=st.sampled_from(["uint8", "int16", "int64", "uint32"]), channels=st.sampled_from([None, 1, 3, 4]))
def test_integers_of_any_type_from_0_to_255_are_a_picture(dtype: str, channels: int | None) -> None:
    pixels = random_images(1, 5, 6, *([] if channels is None else [channels]))[0]
    shown = np.asarray(picture(pixels.astype(dtype)))
    assert np.array_equal(shown, pixels[..., 0] if channels == 1 else pixels)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((2, 2), np.float32), "integers from 0 to 255, but got float32"),
        (np.array([[0, 256]]), "integers from 0 to 255, but got 0 to 256"),
        (np.array([[-1, 5]]), "integers from 0 to 255, but got -1 to 5"),
        (np.zeros((2, 2, 2), np.uint8), r"must be \[H, W\] or \[H, W, 1, 3 or 4\], but got \[2, 2, 2\]"),
        (np.zeros((3, 5, 6), np.uint8), r"but got \[3, 5, 6\]; the channels come last"),
        (np.zeros((0, 2), np.uint8), r"but got \[0, 2\]"),
        (np.array(3), r"but got \[\]"),
    ],
)
def test_other_arrays_are_no_picture(pixels: Any, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        picture(pixels)


def test_an_array_is_one_image_or_several_and_refused_where_it_may_be_both(tmp_path: Path) -> None:
    champion = champion_of(tmp_path, input=[3, 28, 28], mean=[0.3] * 3, std=[0.2] * 3)
    image = random_images(1, 28, 30, 3)[0]
    expected = champion.prepare_images([image])
    assert expected.shape == (1, 3, 28, 28)
    for array in (image, image[np.newaxis]):
        assert np.array_equal(champion.prepare_images(array), expected)
    assert champion.prepare_images(image[..., 0]).shape == (1, 3, 28, 28)
    with pytest.raises(StudyError, match=r"\[3, 28, 30\] may be one image with its channels first, or 3 grey ones"):
        champion.prepare_images(image.transpose(2, 0, 1))


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    champion = champion_of(tmp_path)
    with pytest.raises(StudyError, match=r"configuration\.json cannot be read: not JPEG"):
        champion.prepare_images([tmp_path / "configuration.json"])
    with pytest.raises(StudyError, match="image 1 cannot be read: pixels in floating point"):
        champion.prepare_images([Image.new("L", (5, 5)), Image.new("F", (5, 5))])


@pytest.mark.parametrize("file", ["weights.safetensors", "configuration.json"])
def test_a_folder_that_lacks_a_file_says_which(file: str, tmp_path: Path) -> None:
    champion_of(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(NothingStoredError, match=f"no champion in .*: {file} is missing"):
        load_folder(tmp_path)


@pytest.mark.parametrize("file", ["weights.safetensors", "configuration.json"])
def test_a_broken_file_is_named_in_one_line(file: str, tmp_path: Path) -> None:
    champion_of(tmp_path)
    (tmp_path / file).write_bytes(b"{\n\xff")
    with pytest.raises(StudyError, match=f"{file} cannot be read: ") as caught:
        load_folder(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ["one"]}, "weights.safetensors does not fit configuration.json beside it: [12] weights differ"),
        ({"model": {"batch_norm": False}}, "does not fit configuration.json"),
        ({"model": {"depht": 3}}, "describes no network: .*depht"),
        ({"architecture": "lenett"}, "describes no network: unknown architecture 'lenett'.*'lenet'"),
        ({"input": [1, 4, 4]}, "describes no network: .*needs images of at least"),
        ({"input": [1, 28]}, "is not a champion's configuration: input: "),
        ({"input": "28"}, "is not a champion's configuration: input: "),
        ({"classes": []}, "is not a champion's configuration: classes: "),
        ({"mean": [0.1, 0.2]}, "mean and std must have 1 values"),
        ({"data": None}, "is not a champion's configuration: data: "),
    ],
)
def test_files_that_do_not_fit_each_other_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    champion_of(tmp_path)
    (tmp_path / "configuration.json").write_text(json.dumps(configuration_of(**changes)))
    with pytest.raises(StudyError, match=message):
        load_folder(tmp_path)


@given(text=st.text(max_size=20) | st.recursive(st.integers() | st.none(), st.lists, max_leaves=3).map(json.dumps))
def test_whatever_stands_in_the_configuration_the_error_is_ours(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "configuration.json").write_text(text, encoding="utf-8")
    with pytest.raises(OptrackError):
        load_folder(folder)
