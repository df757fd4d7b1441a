import subprocess
import sys

import pytest

HEAD = """
import torch
def refuse(path):
    raise OSError(f"{path}: built for another torch")
"""


def _run(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", HEAD + code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_torchvision_is_imported_where_its_operators_cannot_be_loaded() -> None:
    code = """
torch.ops.load_library = refuse
from optrack.datasets.torchvision_compat import FashionMNIST
print(FashionMNIST.__name__)
"""
    assert _run(code) == "FashionMNIST"


@pytest.mark.slow
def test_torchvision_is_imported_where_someone_else_declared_the_operators() -> None:
    code = """
torch.ops.load_library = refuse
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from optrack.datasets.torchvision_compat import read_image_file
print(read_image_file.__name__)
"""
    assert _run(code) == "read_image_file"


@pytest.mark.slow
def test_torchvision_is_imported_as_this_machine_has_it() -> None:
    assert _run("from optrack.datasets.torchvision_compat import read_label_file; print(read_label_file.__name__)")
