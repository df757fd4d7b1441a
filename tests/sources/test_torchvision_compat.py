"""torchvision beside a torch that it was not built for."""

import subprocess
import sys

import pytest

REFUSE = """
import torch
def refuse(path):
    raise OSError(f"{path}: built for another torch")
torch.ops.load_library = refuse
"""
DECLARE = """
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
USE = """
from optrack.sources.torchvision_compat import classification_models, datasets
print(classification_models()[0], datasets.FashionMNIST.__name__)
"""


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("", id="as_installed", marks=pytest.mark.slow),
        pytest.param(REFUSE, id="operators_that_do_not_load"),
        pytest.param(REFUSE + DECLARE, id="operators_declared_by_other_code", marks=pytest.mark.slow),
    ],
)
def test_torchvision_is_imported_whatever_became_of_its_operators(before: str) -> None:
    command = [sys.executable, "-W", "error", "-c", before + USE]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "alexnet FashionMNIST"
