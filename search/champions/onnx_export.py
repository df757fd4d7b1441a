"""Export a champion to an ONNX file, from raw pixels to logits, and check it against torch before it is written."""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
import torch
from torch import nn

from ...sources import unfinished
from ..errors import StudyError
from .champion import Champion

TOLERANCE = 1e-4
"""Largest difference from torch's logits, relative to the largest logit."""

CHECKED_BATCHES = (1, 5)
"""Numbers of images that are compared at a time: one, and another one than the network is traced with."""

TRACED_BATCH = 2


def export(champion: Champion, path: Path) -> float:
    """Write a champion as ONNX: input `images` uint8 [N, C, H, W] for any N, output `logits` float32 [N, classes].

    The file's metadata says `classes` (JSON), `study`, `family` and `image_size` (JSON, height and width in pixels).
    The champion must lie on the CPU; a file that is there is replaced.

    Returns:
        The largest difference from torch's logits on random images, relative to the largest logit.

    Raises:
        StudyError: the folder does not exist, or ONNX Runtime's logits differ from torch's; nothing is written.
    """
    if not path.parent.is_dir():
        raise StudyError(f"{path} cannot be written: there is no folder {path.parent}")
    if path.is_dir():
        raise StudyError(f"{path} cannot be written: it is a folder")
    content = _onnx(champion)
    difference = max(_difference(champion, content, batch) for batch in CHECKED_BATCHES)
    if not difference < TOLERANCE:  # NaN is not
        raise StudyError(
            f"nothing was exported: the logits of ONNX Runtime differ from torch's by {difference:.2g} of the largest, "
            f"and {TOLERANCE:g} is allowed"
        )
    try:
        with unfinished(path) as written:
            written.write_bytes(content)
            written.replace(path)
    except OSError as error:
        raise StudyError(f"{path} cannot be written: {error.strerror}") from None
    return difference


def _onnx(champion: Champion) -> bytes:
    channels, height, width = champion.input_shape
    images = torch.zeros(TRACED_BATCH, channels, height, width, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's exporter calls deprecated functions of torch
        program = torch.onnx.export(
            nn.Sequential(champion.normalisation(), champion.model).eval(),
            (images,),
            dynamo=True,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None  # noqa: S101 - it is None only if a file was given
    proto: Any = program.model_proto
    onnx.helper.set_model_props(
        proto,
        {
            "classes": json.dumps(champion.classes),
            "study": champion.study,
            "family": champion.family,
            "image_size": json.dumps([height, width]),
        },
    )
    return proto.SerializeToString()


def _difference(champion: Champion, content: bytes, batch: int) -> float:
    """Return the largest difference between the logits of random images, relative to torch's largest."""
    images = np.random.default_rng(batch).integers(0, 256, (batch, *champion.input_shape), dtype=np.uint8)
    session: Any = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"images": images})
    expected = champion.logits(images)
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), np.finfo(np.float32).tiny))
