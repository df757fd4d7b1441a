"""Augmentation operations as values: ranges and probabilities, checked when made, scaled by a strength.

Every operation says with `numbers` how many random numbers it uses for an image, whatever its ranges; so what one image
gets depends neither on the batch that it stands in nor on how strong another operation is. One that is `idle` changes
no image at all.
"""

from abc import ABC, abstractmethod
from dataclasses import InitVar, dataclass, replace
from typing import ClassVar, Literal, Self, TypeAlias

from ..errors import DataError

Border: TypeAlias = Literal["zeros", "edge", "symmetric"]
"""What lies beyond an image: black, its last pixel again, or its mirror image (numpy's and torchvision's words)."""

_MOST_TURN = 0.5
_LEAST_SCALE = 0.1


class _Scalable(ABC):
    """What all operations have in common."""

    __slots__ = ()

    @abstractmethod
    def scaled(self, strength: float) -> Self:
        """Return it with ranges and probabilities times strength."""

    @property
    def idle(self) -> bool:
        """Whether no image is changed: strength 0 would make no difference."""
        return self == self.scaled(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop(_Scalable):
    """Shift by whole pixels: a border of `padding` pixels all around, and out of that a window of the image's size.

    Args:
        padding: in pixels.
        border: what is shifted in.
    """

    padding: int = 4
    border: Border = "symmetric"
    numbers: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _check("padding", self.padding, 0)

    def scaled(self, strength: float) -> Self:
        """Return it with padding times strength, in whole pixels."""
        return replace(self, padding=round(self.padding * strength))


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip(_Scalable):
    """Mirror left and right, top and bottom.

    Args:
        horizontal: probability that left and right change places.
        vertical: probability that top and bottom do.
    """

    horizontal: float = 0.5
    vertical: float = 0.0
    numbers: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _check("horizontal", self.horizontal, 0, 1)
        _check("vertical", self.vertical, 0, 1)

    def scaled(self, strength: float) -> Self:
        """Return it with probabilities times strength, up to one half: beyond that an image varies less, not more."""
        return replace(
            self,
            horizontal=min(self.horizontal * strength, max(self.horizontal, 0.5)),
            vertical=min(self.vertical * strength, max(self.vertical, 0.5)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine(_Scalable):
    """Scale and turn about the centre, then shift; bilinear. Each value is drawn evenly from its range.

    Args:
        degrees: least and greatest angle, counter-clockwise (as torchvision's `rotate`; its `affine` turns clockwise).
        translation: greatest shift either way, as a share of height and of width.
        scale: least and greatest factor; above 1 the content grows, so (1, 1.25) is a zoom.
        border: what is turned or shifted in.
    """

    degrees: tuple[float, float] = (0.0, 0.0)
    translation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    border: Border = "edge"
    numbers: ClassVar[int] = 4

    def __post_init__(self) -> None:
        _check_range("degrees", self.degrees, -180, 180)
        _check("translation", self.translation, 0, 1)
        _check_range("scale", self.scale, _LEAST_SCALE)

    def scaled(self, strength: float) -> Self:
        """Return it with angles, shift and distances of the factors from 1 times strength, within their ranges."""
        low, high = (min(max(angle * strength, -180.0), 180.0) for angle in self.degrees)
        least, greatest = (max(1 + (factor - 1) * strength, _LEAST_SCALE) for factor in self.scale)
        translation = min(self.translation * strength, 1.0)
        return replace(self, degrees=(low, high), translation=translation, scale=(least, greatest))


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourJitter(_Scalable):
    """Brightness, contrast, saturation and a turn of the colours.

    The first three are factors drawn evenly from 1 - x to 1 + x, not below 0, with the meaning that they have in
    torchvision. The turn is about the grey axis; `colour` says how near that is to a turn of HSV's hue.

    Args:
        brightness: greatest distance of the factor from 1.
        contrast: likewise.
        saturation: likewise; greyscale images are left as they are.
        colour_turn: greatest part of a full turn either way; greyscale images are left as they are.
        hue: the earlier name of `colour_turn`, which takes its value.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    colour_turn: float = 0.0
    hue: InitVar[float | None] = None
    numbers: ClassVar[int] = 4

    def __post_init__(self, hue: float | None) -> None:
        if hue is not None:
            object.__setattr__(self, "colour_turn", hue)
        _check("brightness", self.brightness, 0)
        _check("contrast", self.contrast, 0)
        _check("saturation", self.saturation, 0)
        _check("colour_turn", self.colour_turn, 0, _MOST_TURN)

    def scaled(self, strength: float) -> Self:
        """Return it with all four times strength, the turn up to half a full one."""
        return replace(
            self,
            brightness=self.brightness * strength,
            contrast=self.contrast * strength,
            saturation=self.saturation * strength,
            colour_turn=min(self.colour_turn * strength, _MOST_TURN),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grayscale(_Scalable):
    """Take the colour out of some images.

    Args:
        probability: that an image loses it.
    """

    probability: float = 0.1
    numbers: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check("probability", self.probability, 0, 1)

    def scaled(self, strength: float) -> Self:
        """Return it with probability times strength, up to 1."""
        return replace(self, probability=min(self.probability * strength, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutout(_Scalable):
    """Cover a square whose centre is any pixel, so that a part of it may lie outside (DeVries & Taylor 2017).

    Args:
        size: side of the square as a share of the image's shorter side.
        fill: grey level of the square; the default is near what normalisation turns into 0, as in the paper.
    """

    size: float = 0.5
    fill: int = 127
    numbers: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _check("size", self.size, 0, 1)
        _check("fill", self.fill, 0, 255)

    def scaled(self, strength: float) -> Self:
        """Return it with side times strength, up to the image's shorter side."""
        return replace(self, size=min(self.size * strength, 1.0))


Operation: TypeAlias = Crop | Flip | Affine | ColourJitter | Grayscale | Cutout


def _check(name: str, value: float, low: float, high: float = float("inf")) -> None:
    if not low <= value <= high:
        limit = f"lie in [{low:g}, {high:g}]" if high != float("inf") else f"be at least {low:g}"
        raise DataError(f"{name} must {limit}, but got {value}")


def _check_range(name: str, values: tuple[float, float], low: float, high: float = float("inf")) -> None:
    for value in values:
        _check(name, value, low, high)
    if values[0] > values[1]:
        raise DataError(f"{name} must begin with its lower end, but got {values}")
