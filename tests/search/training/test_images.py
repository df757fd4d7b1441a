import numpy as np
import pytest
import torch

from optrack.datasets import Prepared, SearchData, open_prepared
from optrack.search.training.images import ResidentImages, resident


@pytest.fixture
def data(digits: Prepared) -> SearchData:
    return open_prepared(digits)


@pytest.fixture
def images(data: SearchData) -> ResidentImages:
    return resident(data, torch.device("cpu"))


def test_on_the_cpu_the_images_are_the_file_that_all_workers_share(data: SearchData, images: ResidentImages) -> None:
    assert images.images.data_ptr() == data.images.ctypes.data
    assert images.images.dtype == torch.uint8


def test_a_batch_is_what_plain_indexing_gives(data: SearchData, images: ResidentImages) -> None:
    positions = torch.tensor([5, 0, 77, 5])
    batch, labels = images.batch(positions)
    mean, std = (np.array(values, dtype=np.float32).reshape(1, -1, 1, 1) for values in (data.mean, data.std))
    expected = (data.images[positions.numpy()].astype(np.float32) / 255 - mean) / std
    np.testing.assert_allclose(batch.numpy(), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(labels.numpy(), data.labels[positions.numpy()])
    assert batch.dtype == torch.float32
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert labels.dtype == torch.int64


def test_the_training_images_have_mean_zero_and_deviation_one(images: ResidentImages) -> None:
    batch, _ = images.batch(images.train)
    assert abs(float(batch.mean())) < 1e-4
    assert abs(float(batch.std()) - 1) < 1e-3


def test_images_that_never_change_stay_finite() -> None:
    data = SearchData(
        images=np.full((3, 2, 1, 1), 255, dtype=np.uint8),
        labels=np.zeros(3, dtype=np.int64),
        train=np.arange(2),
        validation=np.array([2]),
        classes=("only",),
        mean=(1.0, 0.5),
        std=(0.0, 0.25),
        digest="",
        split_digest="",
    )
    batch, _ = resident(data, torch.device("cpu")).batch(torch.tensor([0]))
    torch.testing.assert_close(batch.flatten(), torch.tensor([0.0, 2.0]))


def test_shape_and_classes_are_those_of_the_data(images: ResidentImages, data: SearchData) -> None:
    assert images.input_shape == (1, 8, 8)
    assert images.classes == 10
    assert len(images.train) == len(data.train)
    assert len(images.validation) == len(data.validation)


def test_no_batch_can_change_the_images_that_all_share(images: ResidentImages, data: SearchData) -> None:
    before = data.images[0].copy()
    batch, _ = images.batch(torch.tensor([0]))
    batch.add_(1)
    np.testing.assert_array_equal(data.images[0], before)
