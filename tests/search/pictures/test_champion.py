import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from optrack.datasets import Prepared, open_prepared
from optrack.search.champions.champion import Champion, load_folder, save_folder
from optrack.search.champions.recipe import Recipe
from optrack.search.pictures import champion as module
from optrack.search.pictures.champion import champion_pictures
from optrack.search.study.study import Data, Family, Study
from optrack.search.training import Job, train
from optrack.search.training.loop import make_model


def champion_of(job: Job, folder: Path) -> Champion:
    """What retraining would make of a job."""
    trained = replace(job, weights=folder / "weights.safetensors", validates=False)
    list(train(trained))
    study = Study("tiny", data=Data("digits"), families=[Family("f", architecture=job.architecture)])
    record = Recipe.of(study, job.data, trained, code=None, value=0.5, epoch=job.epochs)
    state = load_state(trained)
    save_folder(folder / "champion", state=state, recipe=record)
    return load_folder(folder / "champion")


def load_state(job: Job) -> dict[str, Tensor]:
    from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]

    assert job.weights is not None
    return load_file(job.weights)


@pytest.fixture
def job(job_of: Any, digits_16: Prepared) -> Job:
    """Of a small network with convolutions."""
    return job_of(architecture="lenet", model={"batch_norm": True}, data=digits_16, epochs=1, batch_size=512)


def test_a_network_with_convolutions_has_pictures_of_filters_and_feature_maps(job: Job, tmp_path: Path) -> None:
    found = champion_pictures(job, champion_of(job, tmp_path))
    assert found.keys() == {"pictures/filters.png", "pictures/feature_maps.png"}
    for content in found.values():
        with Image.open(io.BytesIO(content)) as image:
            assert image.format == "PNG"
            assert min(image.size) > 50


def test_a_network_without_convolutions_has_no_feature_maps(job_of: Any, tmp_path: Path) -> None:
    job = job_of(epochs=1)
    assert champion_pictures(job, champion_of(job, tmp_path)).keys() == {"pictures/filters.png"}


def test_filters_before_training_are_those_that_training_began_with(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Tensor] = []

    def watched(*arguments: Any) -> nn.Module:
        model = make_model(*arguments)
        begun.append(first_of(model.state_dict()))
        return model

    monkeypatch.setattr("optrack.search.training.loop.make_model", watched)
    champion = champion_of(job, tmp_path)
    drawn: list[Tensor] = []
    filters = module.filters

    def drawing(before: Tensor, after: Tensor) -> Image.Image:
        drawn.extend([before, after])
        return filters(before, after)

    monkeypatch.setattr(module, "filters", drawing)
    torch.manual_seed(99)  # whatever was drawn before
    champion_pictures(job, champion)
    before, after = drawn
    assert torch.equal(before, begun[0])
    assert torch.equal(after, first_of(champion.model.state_dict()))
    assert not torch.equal(before, after)


def first_of(state: dict[str, Tensor]) -> Tensor:
    """The weights of the first convolution."""
    return next(tensor.clone() for tensor in state.values() if tensor.ndim == 4)


def test_feature_maps_are_of_a_validation_image_as_the_champion_sees_it(
    job: Job, digits_16: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = champion_of(job, tmp_path)
    data = open_prepared(digits_16)
    feature_maps = module.feature_maps
    compared: list[bool] = []

    def checked(model: nn.Module, image: Any, normalise: Any) -> Image.Image | None:
        assert np.array_equal(image, data.images[data.validation[0]])
        with torch.inference_mode():
            logits = model(normalise(torch.from_numpy(np.array(image))[None])).numpy()
        np.testing.assert_allclose(logits, champion.logits(image[None]), atol=1e-5)
        compared.append(True)
        return feature_maps(model, image, normalise)

    monkeypatch.setattr(module, "feature_maps", checked)
    champion_pictures(job, champion)
    assert compared == [True]


def test_drawing_leaves_the_champion_and_torch_s_random_numbers_alone(job: Job, tmp_path: Path) -> None:
    champion = champion_of(job, tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 16, 16), dtype=np.uint8)
    logits = champion.logits(images)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    champion_pictures(job, champion)
    assert torch.equal(torch.rand(3), expected)
    assert np.array_equal(champion.logits(images), logits)
    assert not any(module.training for module in champion.model.modules())


def test_what_is_recorded_beside_weights_says_what_they_were_trained_on(job: Job, digits_16: Prepared) -> None:
    study = Study("tiny", data=Data("digits", image_size=16), families=[Family("f", architecture="lenet")])
    searched = Recipe.of(study, digits_16, job, code=None, value=0.5, epoch=3).as_json()
    retrained = Recipe.of(study, digits_16, replace(job, validates=False), code=None, value=0.5, epoch=3).as_json()
    assert (searched["trained_on"], retrained["trained_on"]) == ("train", "train and validation")
    assert {**searched, "trained_on": ""} == {**retrained, "trained_on": ""}
    assert (searched["study"], searched["family"], searched["epoch"], searched["value"]) == ("tiny", "f", 3, 0.5)
    assert (searched["input"], searched["classes"]) == ([1, 16, 16], list("0123456789"))
    assert searched["data"] == {
        "name": "digits",
        "image_size": 16,
        "digest": digits_16.digest,
        "split_digest": digits_16.split_digest,
        "layout": "embedded",
    }
