from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from optrack.datasets import DataError, DataRequest, open_prepared, prepare
from optrack.datasets.prepared.previews import draw_grid, preview, samples, save


def _rows(rows: int, images: int, shape: tuple[int, int, int]) -> "list[np.ndarray]":
    generator = np.random.default_rng(0)
    return [generator.integers(0, 200, (images, *shape), dtype=np.uint8) for _ in range(rows)]


@pytest.mark.parametrize("channels", [1, 3])
def test_every_pixel_of_every_image_is_in_the_picture(channels: int) -> None:
    rows = _rows(43, 4, (channels, 30, 30))
    picture = np.asarray(draw_grid([f"class {index}" for index in range(43)], rows))
    assert 1 < picture.shape[1] / picture.shape[0] < 2
    # Each image is enlarged by two, and its first pixel and the size of its cell tell where it is.
    small = picture[::2, ::2]
    for row in rows:
        for image in row:
            pixels = np.broadcast_to(image.transpose(1, 2, 0), (30, 30, 3))
            starts = np.argwhere(np.all(small == pixels[0, 0], axis=2))
            assert any(np.array_equal(small[top : top + 30, left : left + 30], pixels) for top, left in starts)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 28, 28), (3, 96, 96), (3, 500, 300), (3, 20, 900)])
def test_images_of_any_size_are_drawn_at_a_size_that_one_sees(shape: tuple[int, int, int]) -> None:
    picture = draw_grid(["a class with a very long name, which is cut somewhere", "b"], _rows(2, 4, shape))
    assert max(picture.size) < 1200
    assert min(picture.size) > 50


def test_labels_are_drawn_and_rows_may_be_of_different_lengths() -> None:
    rows = [np.full((count, 3, 8, 8), 255, dtype=np.uint8) for count in (1, 4)]
    picture = np.asarray(draw_grid(["cat", "dog"], rows))
    assert picture.min() < 100


def test_samples_are_training_images_of_their_class_and_of_different_groups(
    tmp_path: Path, write_gtsrb: Callable[..., Path]
) -> None:
    write_gtsrb(tmp_path, tracks=6, frames=3)
    prepared = prepare(
        DataRequest(
            "gtsrb", image_size=8, validation=0.3, split_seed=0, data_dir=tmp_path, cache_dir=tmp_path / "cache"
        )
    )
    data = open_prepared(prepared)
    assert data.groups is not None
    chosen = samples(data)
    assert len(chosen) == 43
    for label, indices in enumerate(chosen):
        assert set(indices.tolist()) <= set(data.train.tolist())
        assert data.labels[indices].tolist() == [label] * 4
        assert len(set(data.groups[indices].tolist())) == 4
    assert [indices.tolist() for indices in samples(data)] == [indices.tolist() for indices in chosen]
    assert [indices.tolist() for indices in samples(data, seed=1)] != [indices.tolist() for indices in chosen]
    save(preview(prepared), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("folder", ["file", "nowhere"])
def test_a_picture_that_cannot_be_written_is_a_data_error(folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        save(draw_grid(["a"], _rows(1, 1, (1, 8, 8))), tmp_path / folder / "picture.png")
