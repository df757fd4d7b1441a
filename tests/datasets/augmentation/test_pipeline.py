import subprocess
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from optrack.datasets import DataError
from optrack.datasets.augmentation import (
    PRESETS,
    Affine,
    Augmentation,
    ColourJitter,
    Crop,
    Cutout,
    Flip,
    Grayscale,
    preset,
)
from optrack.datasets.augmentation.colour import Recolour
from optrack.datasets.augmentation.erasing import Erase
from optrack.datasets.augmentation.geometry import Resample

Images = Callable[..., Tensor]

EVERYTHING = Augmentation(
    operations=(
        Crop(padding=3, border="edge"),
        Flip(horizontal=0.5, vertical=0.5),
        Affine(degrees=(-15, 15), translation=0.1, scale=(0.8, 1.2)),
        Cutout(size=0.3),
        ColourJitter(brightness=0.3, contrast=0.3, saturation=0.3, colour_turn=0.1),
        Grayscale(probability=0.3),
        Crop(padding=2, border="zeros"),
    )
)
AUGMENTATIONS = {name: preset(name) for name in PRESETS} | {"everything": EVERYTHING}
BY_NAME = pytest.mark.parametrize("augmentation", AUGMENTATIONS.values(), ids=AUGMENTATIONS.keys())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@contextmanager
def threads(count: int) -> Generator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def tensors(steps: Iterable[object]) -> list[Tensor]:
    values = (getattr(step, name) for step in steps for name in vars(type(step))["__dataclass_fields__"])
    return [value for value in values if isinstance(value, Tensor)]


@BY_NAME
@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 5), st.sampled_from([1, 3]), st.integers(1, 33), st.integers(1, 33)),
    strength=st.sampled_from([0.0, 0.3, 1.0, 3.0]),
    seed=st.integers(0, 2**32),
)
def test_shape_range_and_input_are_kept(
    augmentation: Augmentation, shape: tuple[int, int, int, int], strength: float, seed: int
) -> None:
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=seeded(seed))
    before = images.clone()
    result = augmentation.scaled(strength)(images, seeded(seed))
    assert result.shape == shape
    assert result.dtype in {torch.uint8, torch.float32}
    assert torch.equal(images, before)
    assert result.isfinite().all()
    assert 0 <= float(result.min()) <= float(result.max()) <= 255


@BY_NAME
def test_at_strength_0_images_stay_exactly_as_they_are(augmentation: Augmentation, make_images: Images) -> None:
    images = make_images(8, 3, 16, 16)
    result = augmentation.scaled(0)(images, seeded())
    assert result.dtype == torch.uint8
    assert torch.equal(result, images)


@BY_NAME
def test_the_same_seed_gives_the_same_bits_with_any_number_of_threads(
    augmentation: Augmentation, make_images: Images
) -> None:
    images = make_images(64, 3, 96, 96)
    with threads(1):
        alone = augmentation(images, seeded())
    with threads(2):
        together = augmentation(images, seeded())
    assert torch.equal(alone, together)


def test_one_large_grey_image_has_the_same_bits_with_any_number_of_threads(make_images: Images) -> None:
    images = make_images(1, 1, 512, 512)
    with threads(1):
        alone = EVERYTHING(images, seeded())
    with threads(2):
        assert torch.equal(alone, EVERYTHING(images, seeded()))


@BY_NAME
def test_an_image_gets_the_same_in_batches_of_any_size(augmentation: Augmentation, make_images: Images) -> None:
    images, generator = make_images(50, 3, 16, 16), seeded()
    batches = [augmentation(batch, generator) for batch in torch.split(images, 16)]
    assert torch.equal(augmentation(images, seeded()), torch.cat(batches))


@BY_NAME
def test_no_two_images_of_a_batch_get_the_same(augmentation: Augmentation) -> None:
    if not augmentation.operations:
        return
    drawn = torch.cat([tensor.view(256, -1) for tensor in tensors(augmentation.draw(256, 64, 64, seeded()))], 1)
    assert torch.unique(drawn, dim=0).shape[0] > 100


def test_what_an_image_gets_of_one_operation_does_not_depend_on_the_strength_of_another() -> None:
    flip, cutout = Flip(), Cutout()
    weak = Augmentation(operations=(Crop(padding=0), flip, cutout)).draw(50, 32, 32, seeded())
    strong = Augmentation(operations=(Crop(padding=4), flip, cutout)).draw(50, 32, 32, seeded())
    weak_map, strong_map = cast("Resample", weak[0]).maps, cast("Resample", strong[0]).maps
    assert torch.equal(weak_map[:, :, :2], strong_map[:, :, :2])
    assert torch.equal(cast("Erase", weak[1]).corners, cast("Erase", strong[1]).corners)


def test_crops_cover_every_shift_evenly() -> None:
    steps = Augmentation(operations=(Crop(padding=2),)).draw(10_000, 8, 8, seeded())
    shifts = cast("Resample", steps[0]).maps[:, :, 2]
    assert shifts.unique().tolist() == [-2, -1, 0, 1, 2]
    counts = torch.stack([(shifts == value).double().mean(0) for value in range(-2, 3)])
    assert (counts - 0.2).abs().max() < 0.02


def test_flips_happen_as_often_as_they_should() -> None:
    steps = Augmentation(operations=(Flip(horizontal=0.5, vertical=0.1),)).draw(10_000, 8, 8, seeded())
    maps = cast("Resample", steps[0]).maps
    assert abs(float((maps[:, 0, 0] == -1).double().mean()) - 0.5) < 0.02
    assert abs(float((maps[:, 1, 1] == -1).double().mean()) - 0.1) < 0.02


def test_angles_factors_and_shifts_fill_their_ranges() -> None:
    operation = Affine(degrees=(-5, 20), translation=0.25, scale=(0.8, 1.5))
    steps = Augmentation(operations=(operation,)).draw(10_000, 20, 40, seeded())
    maps = cast("Resample", steps[0]).maps.double()
    scale = 1 / maps[:, 0, 0].hypot(maps[:, 1, 0])
    angle = torch.atan2(maps[:, 1, 0], maps[:, 0, 0]).rad2deg()
    shift = cast("Tensor", torch.linalg.solve(maps[:, :, :2], -maps[:, :, 2:]))[:, :, 0]
    for values, low, high in [
        (angle, -5, 20),
        (scale, 0.8, 1.5),
        (shift[:, 0], -10, 10),
        (shift[:, 1], -5, 5),
    ]:
        assert_even(values, low, high)


def test_colour_factors_fill_their_ranges() -> None:
    steps = Augmentation(operations=(ColourJitter(brightness=0.4),)).draw(10_000, 8, 8, seeded())
    assert_even(cast("Recolour", steps[0]).gains.double(), 0.6, 1.4)
    steps = Augmentation(operations=(ColourJitter(brightness=1.5),)).draw(10_000, 8, 8, seeded())
    assert_even(cast("Recolour", steps[0]).gains.double(), 0.0, 2.5)
    steps = Augmentation(operations=(ColourJitter(contrast=0.4),)).draw(10_000, 8, 8, seeded())
    assert_even(1 - cast("Recolour", steps[0]).offsets.double().sum(1), 0.6, 1.4)


def assert_even(values: Tensor, low: float, high: float) -> None:
    """Within the range up to rounding, near both of its ends, and as much on one side of the middle as on the other."""
    width = high - low
    assert low - 1e-5 * width <= float(values.min()) < low + 0.01 * width
    assert high - 0.01 * width < float(values.max()) <= high + 1e-5 * width
    assert abs(float(values.median()) - (low + high) / 2) < 0.02 * width
    assert abs(float(values.quantile(0.25)) - (low + width / 4)) < 0.02 * width


def test_images_that_only_move_or_are_covered_stay_whole_numbers(make_images: Images) -> None:
    images = make_images(4, 3, 16, 16)
    assert preset("crop_flip_cutout")(images, seeded()).dtype == torch.uint8
    assert preset("rotation_jitter")(images, seeded()).dtype == torch.float32


def test_any_layout_in_memory_gives_the_same(make_images: Images) -> None:
    images = make_images(8, 3, 16, 16)
    for augmentation in AUGMENTATIONS.values():
        result = augmentation(images.contiguous(memory_format=torch.channels_last), seeded())
        torch.testing.assert_close(result, augmentation(images, seeded()), atol=0.001, rtol=0)


def test_an_unknown_name_is_refused_with_the_nearest_and_all_that_are_known() -> None:
    with pytest.raises(
        DataError, match=r"unknown augmentation 'crop_flop' \(did you mean 'crop_flip'\?\); valid names: none, "
    ):
        preset("crop_flop")


@pytest.mark.parametrize("strength", [-0.1, float("nan"), float("inf")])
def test_a_strength_that_makes_no_sense_is_refused(strength: float) -> None:
    with pytest.raises(DataError, match="strength of an augmentation must be at least 0, but got"):
        preset("crop_flip", strength)


def test_names_need_no_torch() -> None:
    code = "import sys; from optrack.datasets.augmentation import PRESETS; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("channels", [1, 3])
@BY_NAME
def test_cpu_and_gpu_agree(augmentation: Augmentation, make_images: Images, channels: int) -> None:
    images = make_images(256, channels, 32, 32)
    result = augmentation(images.to("cuda"), seeded())
    expected = augmentation(images, seeded())
    assert result.device.type == "cuda"
    assert result.dtype == expected.dtype
    if expected.dtype == torch.uint8:
        assert torch.equal(result.cpu(), expected)
    else:
        torch.testing.assert_close(result.cpu(), expected, atol=0.05, rtol=0)
