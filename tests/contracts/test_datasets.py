"""What holds for every registered data set."""

from pathlib import Path

import pytest

from optrack.datasets import DataError, dataset_infos, download, locate, prepare
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
    assert {type(value) for value in (info.channels, info.image_size, info.classes)} in ({int}, {type(None)})


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_is_embedded_or_is_said_to_be_missing(name: str, tmp_path: Path) -> None:
    info = DATASETS[name].info
    asked = info.name.replace("PATH", str(tmp_path / "nowhere"))
    if info.embedded:
        assert locate(asked, tmp_path) == download(asked, tmp_path)
        return
    assert locate(asked, tmp_path) is None
    with pytest.raises(DataError, match=str(tmp_path)):
        prepare(asked, image_size=8, validation=0.1, split_seed=0, data_dir=tmp_path, cache_dir=tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []
