"""PNG files as parts of the page."""

import base64
import struct

from ..results import FamilyResult

WORDS = {
    "misclassified": (
        "Misclassified images",
        "Test images that the champion took for something else: what each is, its answer, and how sure it was of that.",
    ),
    "filters": (
        "First-layer filters",
        "The champion's first layer before and after training. A filter that still looks like noise has learnt little.",
    ),
    "feature_maps": (
        "Feature maps",
        "What the champion's first and last convolution make of one image.",
    ),
}
"""Name of a picture to its heading and caption."""


def pictures(result: FamilyResult) -> list[dict[str, object]]:
    """Return the pictures of a family's champion for the template, those that are known by name first."""
    known = [name for name in WORDS if name in result.pictures]
    others = [name for name in result.pictures if name not in WORDS]
    return [_picture(name, result.pictures[name]) for name in [*known, *others]]


def _picture(name: str, png: bytes) -> dict[str, object]:
    heading, caption = WORDS.get(name, (name.replace("_", " ").capitalize(), ""))
    # Width and height are in the header chunk, which always comes first.
    width, height = struct.unpack(">II", png[16:24])
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return {"heading": heading, "caption": caption, "source": source, "width": width, "height": height}
