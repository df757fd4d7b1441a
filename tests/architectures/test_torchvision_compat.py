"""torchvision beside a torch that it was not built for."""

import subprocess
import sys

import pytest

PROGRAM = """
import torch
def refuse(path):
    raise OSError(f"{path}: built for another torch")
torch.ops.load_library = refuse
from optrack.architectures.torchvision_compat import classification_models
import optrack.datasets.torchvision_compat
print(classification_models()[0])
"""


@pytest.mark.slow
def test_torchvision_is_imported_where_its_operators_cannot_be_loaded_and_in_both_rooms() -> None:
    result = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "alexnet"
