from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from optrack.architectures import architecture
from optrack.search import StudyError
from optrack.search.champions.champion import Champion, load_folder, save_folder
from optrack.search.champions.prediction import BATCH, Prediction, UnreadableImage, image_files, predict
from optrack.search.champions.recipe import Recipe


@pytest.fixture
def champion(tmp_path: Path) -> Champion:
    """A network with random weights for ten classes."""
    torch.manual_seed(1)
    model = architecture("lenet")((1, 28, 28), 10)
    configuration = {
        "study": "mine",
        "family": "small",
        "architecture": "lenet",
        "model": {},
        "input": [1, 28, 28],
        "classes": [f"class {number}" for number in range(10)],
        "mean": [0.3],
        "std": [0.2],
        "data": {"image_size": 28},
    }
    save_folder(tmp_path / "champion", state=model.state_dict(), recipe=Recipe.model_validate(configuration))
    return load_folder(tmp_path / "champion")


def write(path: Path, shape: Sequence[int] = (9, 7), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_files_are_taken_as_named_and_folders_at_any_depth_and_each_file_once(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a/1.png"), write(tmp_path / "a/b/2.JPG")
    odd = tmp_path / "photo"
    odd.write_bytes(first.read_bytes())
    (tmp_path / "a/notes.txt").write_text("no image")
    assert image_files([odd, tmp_path / "a", first]) == [odd, first, second]


def test_a_path_at_which_there_is_nothing_and_a_folder_without_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no file or folder .*nowhere"):
        image_files([tmp_path / "nowhere"])
    with pytest.raises(StudyError, match=r"no image in .*: looked for .*\.png"):
        image_files([tmp_path])


def test_each_image_has_its_three_most_probable_classes_in_the_order_of_the_files(
    champion: Champion, tmp_path: Path
) -> None:
    files = [write(tmp_path / f"{number}.png", (9 + number % 3, 7), number) for number in range(BATCH + 3)]
    files.insert(2, tmp_path / "broken.png")
    files[2].write_bytes(b"no image")
    answers = list(predict(champion, files))
    assert [answer.file for answer in answers] == files
    broken = answers.pop(2)
    assert isinstance(broken, UnreadableImage)
    assert "broken.png" in broken.reason
    for answer in answers:
        assert isinstance(answer, Prediction)
        [probabilities] = champion.probabilities(champion.prepare_images([answer.file]))
        labels, shares = zip(*answer.ranking, strict=True)
        assert len(labels) == 3
        assert list(shares) == pytest.approx(sorted(probabilities, reverse=True)[:3], abs=1e-5)
        assert champion.classes[int(probabilities.argmax())] == labels[0]


def test_nothing_but_broken_images_gives_no_prediction(champion: Champion, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    assert [type(answer) for answer in predict(champion, [broken])] == [UnreadableImage]
