import pytest

from optrack.datasets import DataError
from optrack.datasets.augmentation import Affine, ColourJitter, Crop, Cutout, Flip, Grayscale, Operation

OPERATIONS: list[Operation] = [
    Crop(padding=4),
    Flip(horizontal=0.5, vertical=0.25),
    Affine(degrees=(-10, 20), translation=0.1, scale=(0.8, 1.3)),
    ColourJitter(brightness=0.1, contrast=0.2, saturation=0.3, colour_turn=0.1),
    Grayscale(probability=0.2),
    Cutout(size=0.3),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: type(operation).__name__)
class TestEveryOperation:
    def test_at_strength_0_is_idle_and_at_1_as_it_was(self, operation: Operation) -> None:
        assert operation.scaled(0).idle
        assert operation.scaled(1) == operation
        assert not operation.idle

    def test_stays_within_its_limits_at_any_strength(self, operation: Operation) -> None:
        assert operation.scaled(1e6).scaled(1e6).numbers == operation.numbers

    def test_is_a_value(self, operation: Operation) -> None:
        assert hash(operation) == hash(operation.scaled(1))


def test_strength_scales_ranges_and_probabilities() -> None:
    assert Crop(padding=4).scaled(0.5) == Crop(padding=2)
    assert Flip(horizontal=0.5, vertical=0.2).scaled(2) == Flip(horizontal=0.5, vertical=0.4)
    assert Flip(horizontal=0.8).scaled(0.5) == Flip(horizontal=0.4)
    assert Affine(degrees=(0, 20), translation=0.1, scale=(0.5, 1.5)).scaled(0.5) == Affine(
        degrees=(0, 10), translation=0.05, scale=(0.75, 1.25)
    )
    assert ColourJitter(brightness=0.2, colour_turn=0.4).scaled(2) == ColourJitter(brightness=0.4, colour_turn=0.5)
    assert Grayscale(probability=0.4).scaled(3) == Grayscale(probability=1)
    assert Cutout(size=0.25).scaled(2) == Cutout(size=0.5)


def test_a_turn_of_the_colours_goes_by_its_earlier_name_too() -> None:
    earlier = ColourJitter(brightness=0.1, hue=0.2)
    assert earlier == ColourJitter(brightness=0.1, colour_turn=0.2)
    assert earlier.scaled(0.5) == ColourJitter(brightness=0.05, colour_turn=0.1)
    with pytest.raises(DataError, match=r"colour_turn must lie in \[0, 0.5\], but got 1"):
        ColourJitter(hue=1)


def test_values_out_of_range_are_refused_with_the_rule() -> None:
    with pytest.raises(DataError, match=r"horizontal must lie in \[0, 1\], but got 1.5"):
        Flip(horizontal=1.5)
    with pytest.raises(DataError, match=r"colour_turn must lie in \[0, 0.5\], but got nan"):
        ColourJitter(colour_turn=float("nan"))
    with pytest.raises(DataError, match=r"scale must be at least 0\.1, but got 0"):
        Affine(scale=(0, 1))
    with pytest.raises(DataError, match=r"degrees must begin with its lower end, but got \(5, -5\)"):
        Affine(degrees=(5, -5))
    with pytest.raises(DataError, match="padding must be at least 0, but got -1"):
        Crop(padding=-1)
