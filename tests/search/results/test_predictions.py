import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optrack.search import TrackingError
from optrack.search.results.predictions import PREDICTIONS_FILE, RESULT_FILE, decoded, encoded
from optrack.search.results.values import TestResult


@st.composite
def results(draw: st.DrawFn) -> tuple[TestResult, NDArray[np.float32]]:
    """A result of some images, and the probabilities that it came from; names of classes of all kinds."""
    classes = draw(st.lists(st.text(max_size=5), min_size=2, max_size=4))
    images = draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    probabilities = rng.dirichlet(np.ones(len(classes)), images).astype(np.float32)
    predictions = probabilities.argmax(axis=1)
    result = TestResult(
        classes=tuple(classes),
        labels=rng.integers(0, len(classes), images),
        predictions=predictions,
        confidences=probabilities[np.arange(images), predictions],
        loss=draw(st.floats(0, 1e9)),
        calibration_error=draw(st.floats(0, 1)),
        openings=draw(st.integers(1, 9)),
        digest=draw(st.text("0123456789abcdef", max_size=64)),
        groups=rng.integers(0, 5, images) if draw(st.booleans()) else None,
    )
    return result, probabilities


def simple() -> tuple[TestResult, NDArray[np.float32]]:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.0, 0.9, 0.1]], dtype=np.float32)
    result = TestResult(
        classes=("ant", "bee", "cat"),
        labels=np.array([0, 1, 1]),
        predictions=np.array([0, 0, 1]),
        confidences=probabilities.max(axis=1),
        loss=0.5,
        calibration_error=0.25,
        openings=1,
        digest="abc",
    )
    return result, probabilities


@given(made=results())
def test_a_result_that_was_written_is_read_again(made: tuple[TestResult, NDArray[np.float32]]) -> None:
    result, probabilities = made
    found = decoded(encoded(result, probabilities), openings=result.openings)
    for name in ("labels", "predictions", "confidences"):
        before, after = getattr(result, name), getattr(found, name)
        assert np.array_equal(before, after)
        assert before.dtype == after.dtype
    assert (found.groups is None) == (result.groups is None)
    if result.groups is not None and found.groups is not None:
        assert np.array_equal(found.groups, result.groups)
    for name in ("classes", "loss", "calibration_error", "openings", "digest", "accuracy"):
        assert getattr(found, name) == getattr(result, name)


@given(made=results())
def test_probabilities_are_kept_to_a_thousandth(made: tuple[TestResult, NDArray[np.float32]]) -> None:
    files = encoded(*made)
    with np.load(io.BytesIO(files[PREDICTIONS_FILE])) as arrays:
        np.testing.assert_allclose(arrays["probabilities"], made[1], atol=1e-3)


def test_the_figures_can_be_read_without_us() -> None:
    figures = json.loads(encoded(*simple())[RESULT_FILE])
    assert figures == {
        "images": 3,
        "accuracy": pytest.approx(2 / 3),
        "loss": 0.5,
        "calibration_error": 0.25,
        "digest": "abc",
        "classes": ["ant", "bee", "cat"],
        "class_accuracy": [1.0, 0.5, None],  # no image is a cat
        "confusion": [[1, 0, 0], [1, 1, 0], [0, 0, 0]],
    }


def test_predictions_of_many_images_are_compact() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(43, 0.02), 12_630).astype(np.float32)
    predictions = probabilities.argmax(axis=1)
    result = TestResult(
        classes=tuple(map(str, range(43))),
        labels=predictions,
        predictions=predictions,
        confidences=probabilities.max(axis=1),
        loss=0.0,
        calibration_error=0.0,
        openings=1,
        digest="abc",
    )
    assert len(encoded(result, probabilities)[PREDICTIONS_FILE]) < probabilities.nbytes / 4


def refused(files: Mapping[str, bytes]) -> None:
    with pytest.raises(TrackingError, match="the recorded result of a test is broken: ") as caught:
        decoded(files, openings=1)
    assert "\n" not in str(caught.value)


@given(data=st.data())
@pytest.mark.parametrize("name", [PREDICTIONS_FILE, RESULT_FILE])
def test_a_file_that_was_cut_short_is_broken(name: str, data: st.DataObject) -> None:
    files = encoded(*simple())
    cut = data.draw(st.integers(0, len(files[name]) - 1))
    refused({**files, name: files[name][:cut]})


@given(content=st.binary(max_size=40) | st.binary(max_size=40).map(lambda rest: b"PK\x03\x04" + rest))
@pytest.mark.parametrize("name", [PREDICTIONS_FILE, RESULT_FILE])
def test_a_file_of_any_bytes_is_broken(name: str, content: bytes) -> None:
    refused({**encoded(*simple()), name: content})


@given(position=st.integers(0, 2000), flip=st.integers(1, 255))
def test_one_wrong_byte_gives_the_same_predictions_or_our_error(position: int, flip: int) -> None:
    result, probabilities = simple()
    files = encoded(result, probabilities)
    content = bytearray(files[PREDICTIONS_FILE])
    content[position % len(content)] ^= flip
    try:
        found = decoded({**files, PREDICTIONS_FILE: bytes(content)}, openings=1)
    except TrackingError:
        return
    assert np.array_equal(found.labels, result.labels)
    assert np.array_equal(found.predictions, result.predictions)
    assert np.array_equal(found.confidences, result.confidences)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (RESULT_FILE, []),
        (RESULT_FILE, {}),
        (RESULT_FILE, None),
        (RESULT_FILE, {"classes": 3, "loss": 0.5, "calibration_error": 0.1, "digest": "abc"}),
    ],
)
def test_figures_of_another_form_are_broken(name: str, content: Any) -> None:
    refused({**encoded(*simple()), name: json.dumps(content).encode()})


@pytest.mark.parametrize("without", ["labels", "predictions", "confidences"])
def test_predictions_that_lack_an_array_are_broken(without: str) -> None:
    files = encoded(*simple())
    with np.load(io.BytesIO(files[PREDICTIONS_FILE])) as arrays:
        kept = {name: arrays[name] for name in arrays if name != without}
    lacking = io.BytesIO()
    np.savez(lacking, **kept)  # pyright: ignore[reportArgumentType]
    refused({**files, PREDICTIONS_FILE: lacking.getvalue()})
