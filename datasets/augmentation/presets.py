"""Named augmentations: one for each recipe of the reference systems, and two customary ones.

The recipes name their operations, and strengths only in part; a comment marks what is chosen here.
"""

from .operations import Affine, ColourJitter, Crop, Cutout, Flip, Grayscale, Operation

PRESETS: dict[str, tuple[Operation, ...]] = {
    "none": (),
    # He et al. 2016, section 4.2.
    "crop_flip": (Crop(padding=4), Flip(horizontal=0.5)),
    "crop_flip_cutout": (Crop(padding=4), Flip(horizontal=0.5), Cutout(size=0.5)),
    # Traffic signs. No flip: it turns "keep right" into "keep left". Strengths of the colours are ours.
    "rotation_jitter": (
        Affine(degrees=(-10, 10), translation=0.08, scale=(0.85, 1.15)),
        ColourJitter(brightness=0.3, contrast=0.3, saturation=0.3, colour_turn=0.03),
    ),
    # Strengths of the colours are ours.
    "stl10": (
        ColourJitter(brightness=0.2, contrast=0.2, saturation=0.2, colour_turn=0.05),
        Flip(horizontal=0.5),
        Affine(degrees=(0, 20), border="symmetric"),
    ),
    # The probability of grey is ours (torchvision's default).
    "cifar10_convnet": (
        Crop(padding=4),
        Flip(horizontal=0.5, vertical=0.5),
        Affine(degrees=(-5, 5), translation=0.2, border="symmetric"),
        Grayscale(probability=0.1),
        ColourJitter(brightness=0.1, contrast=0.1, saturation=0.1, colour_turn=0.05),
    ),
    # Centre crop and zoom (a crop of the middle 80 % and more, enlarged again), flip, scale; all strengths are ours.
    "cinic10": (
        Affine(scale=(1, 1.25), border="symmetric"),
        Flip(horizontal=0.5),
        Affine(scale=(0.85, 1.15), border="symmetric"),
        ColourJitter(brightness=0.2),
    ),
}
"""What a name stands for, at strength 1."""
