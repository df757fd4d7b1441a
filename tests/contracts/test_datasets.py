"""What holds for every registered data set."""

from pathlib import Path

import pytest
from PIL import Image

from optrack.datasets import DataError, DataRequest, dataset_infos, download, locate, prepare
from optrack.datasets.prepared.sealed import open_test
from optrack.datasets.registry import DATASETS

NAMES = sorted(DATASETS)


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_says_what_it_is(name: str) -> None:
    info = DATASETS[name].info
    assert info.name.partition(":")[0] == name
    assert info.summary
    assert "\n" not in info.summary
    assert info.source.startswith("https://")
    assert info in dataset_infos()
    assert (info.channels is None) == (info.classes is None)
    assert info.image_size is not None or info.usual_size is not None or info.channels is None


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_is_embedded_or_is_said_to_be_missing(name: str, tmp_path: Path) -> None:
    info = DATASETS[name].info
    asked = info.name.replace("PATH", str(tmp_path / "nowhere"))
    if info.embedded:
        assert locate(asked, tmp_path) == download(asked, tmp_path)
        return
    assert locate(asked, tmp_path) is None
    fetched = getattr(DATASETS[name], "official", None) is not None
    assert not fetched or f"optrack dataset prepare {name} --download" in _missing(asked, tmp_path)
    with pytest.raises(DataError, match=str(tmp_path)):
        prepare(
            DataRequest(
                asked, image_size=8, validation=0.1, split_seed=0, data_dir=tmp_path, cache_dir=tmp_path / "cache"
            )
        )
    assert list(tmp_path.iterdir()) == []


def _missing(name: str, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        prepare(
            DataRequest(name, image_size=8, validation=0.1, split_seed=0, data_dir=folder, cache_dir=folder / "cache")
        )
    return str(caught.value)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if not DATASETS[name].info.embedded and name != "image_folder"]
)
def test_a_named_data_set_is_read_from_class_folders_and_its_test_part_too(name: str, tmp_path: Path) -> None:
    for number, (part, count) in enumerate((("train", 6), ("valid", 2), ("test", 3))):
        for label in ("00000", "00001"):
            folder = tmp_path / name / part / label
            folder.mkdir(parents=True)
            for index in range(count):
                # As GTSRB names its images; no track is in both parts.
                track = index + 100 * number
                Image.new("RGB", (5, 5), (index, number, 7)).save(folder / f"{track:05}_00000.png")
    prepared = prepare(
        DataRequest(name, image_size=8, validation=0.5, split_seed=0, data_dir=tmp_path, cache_dir=tmp_path / "cache")
    )
    assert locate(name, tmp_path) == download(name, tmp_path) == tmp_path / name
    assert (prepared.layout, prepared.classes) == ("class folders", ("00000", "00001"))
    assert (prepared.train_images, prepared.validation_images) == (12, 4)
    test = open_test(DataRequest(name, image_size=8, data_dir=tmp_path, cache_dir=tmp_path / "cache"))
    assert (test.images.shape, test.classes) == ((6, 3, 8, 8), prepared.classes)
    assert test.labels.tolist() == [0, 0, 0, 1, 1, 1]
