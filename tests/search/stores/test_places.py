from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from optrack.datasets import DataError, Prepared
from optrack.search import Data, Family, StorageError, Study, TrackingError
from optrack.search.stores.places import Places, check_places, prepared_data, relocated


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Where nothing is yet."""
    return Places(
        storage=f"sqlite:///{tmp_path}/optuna.db",
        tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
        data_dir=tmp_path / "data",
        cache_dir=tmp_path / "cache",
    )


def study_of(**changes: object) -> Study:
    return Study("s", data=replace(Data("digits"), **changes), families=[Family("f", architecture="mlp")])


def test_places_that_can_be_made_are_accepted_and_nothing_is_written(places: Places, tmp_path: Path) -> None:
    check_places(places)
    assert list(tmp_path.iterdir()) == []


def test_two_stores_in_one_file_are_refused_however_it_is_written(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for address in (places.storage, "sqlite:///optuna.db", "sqlite:///./optuna.db"):
        with pytest.raises(StorageError, match="must be two databases, but both are sqlite"):
            check_places(replace(places, tracking_uri=address))


def test_each_store_is_checked(places: Places, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no folder"):
        check_places(replace(places, storage=f"sqlite:///{tmp_path}/missing/optuna.db"))
    with pytest.raises(TrackingError, match="there is no folder"):
        check_places(replace(places, tracking_uri=f"sqlite:///{tmp_path}/missing/mlflow.db"))


def test_images_are_prepared_as_the_study_says(places: Places, digits: Prepared) -> None:
    data = prepared_data(study_of(), places, None)
    assert (data.digest, data.split_digest) == (digits.digest, digits.split_digest)
    larger = prepared_data(study_of(image_size=16, validation=0.5, split_seed=7), places, None)
    assert larger.input_shape == (1, 16, 16)
    assert abs(larger.validation_images - larger.train_images) <= 10
    assert prepared_data(study_of(split_seed=7), places, None).split_digest != data.split_digest


def test_images_that_are_not_there_are_the_users_to_mend(places: Places) -> None:
    with pytest.raises(DataError, match="cifar10"):
        prepared_data(study_of(name="cifar10"), places, None)


@pytest.mark.parametrize("name", ["storage", "tracking_uri"])
def test_a_store_that_may_only_be_read_is_not_for_what_writes(
    name: str, places: Places, tmp_path: Path, only_read: Callable[[Path], None]
) -> None:
    only_read(tmp_path / "mounted")
    (tmp_path / "mounted").mkdir()
    with pytest.raises(StorageError, match="may only be read here, and this command writes to it: status, best"):
        check_places(replace(places, **{name: f"sqlite:///{tmp_path}/mounted/some.db"}))
    assert list(tmp_path.rglob("*")) == [tmp_path / "mounted"]


def test_what_has_left_its_place_is_looked_for_where_the_file_says_and_nothing_else_is(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    families = [Family("own", architecture="net.py:Net"), Family("other", architecture="mlp")]
    stored = replace(study_of(name="image_folder:photos"), families=families)
    file = replace(
        study_of(name="image_folder:pictures", image_size=8),
        families=[Family("other", architecture="lenet"), Family("own", architecture="nets/net.py:Net")],
    )
    assert relocated(stored, None, places) == stored
    found = relocated(stored, file, places)
    assert found.data == replace(stored.data, name="image_folder:pictures")
    assert [family.architecture for family in found.families] == ["nets/net.py:Net", "mlp"]
    (tmp_path / "photos").mkdir()
    (tmp_path / "net.py").touch()
    assert relocated(stored, file, places) == stored
