from pathlib import Path

import numpy as np

from optrack.datasets import DataRequest, locate, open_prepared, prepare
from optrack.datasets.named.digits import read_all
from optrack.datasets.store.split import withhold_test


def test_pixels_are_scaled_to_the_whole_range_by_rounding() -> None:
    everything = read_all()
    assert everything.images.shape == (1797, 1, 8, 8)
    expected = [round(value * 255 / 16) for value in range(17)]
    assert np.unique(everything.images).tolist() == expected


def test_the_test_part_is_a_fifth_of_every_class_and_never_reaches_the_cache(tmp_path: Path) -> None:
    everything = read_all()
    kept, test = withhold_test(everything.labels, everything.classes)
    prepared = prepare(
        DataRequest(
            "digits", image_size=None, validation=0.15, split_seed=0, data_dir=tmp_path, cache_dir=tmp_path / "cache"
        )
    )
    data = open_prepared(prepared)
    assert np.array_equal(data.images, everything.images[kept])
    assert np.array_equal(data.labels, everything.labels[kept])
    assert len(test) == 360
    assert not set(kept.tolist()) & set(test.tolist())
    shares = np.bincount(everything.labels[test]) / np.bincount(everything.labels)
    assert np.abs(shares - 0.2).max() < 0.01
    seen = {image.tobytes() for image in data.images}
    assert not seen & {everything.images[index].tobytes() for index in test}, "the 1,797 images are all different"


def test_the_digest_is_what_it_always_was(tmp_path: Path) -> None:
    prepared = prepare(
        DataRequest(
            "digits", image_size=None, validation=0.2, split_seed=3, data_dir=tmp_path, cache_dir=tmp_path / "cache"
        )
    )
    assert prepared.digest == "751aac307f8cb00c7b4226ce92c6c135c1acaac953df46aec8e0b1e392d1062a"
    assert prepared.split_digest == "935f75724f1c46e766e9f4368494ec40aaab484f7f4b4511647974405c3edecc"
    assert (prepared.input_shape, prepared.layout, prepared.classes) == ((1, 8, 8), "embedded", tuple("0123456789"))


def test_digits_need_no_data_folder(tmp_path: Path) -> None:
    found = locate("digits", tmp_path / "nowhere")
    assert found is not None
    assert found.name == "digits.csv.gz"
