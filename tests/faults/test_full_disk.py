"""The disk fills, wherever that happens: a sentence about the disk, and the command that goes on goes on."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from optrack.search.stores import read_storage, stored_families

pytestmark = pytest.mark.slow

STUDY = """
from optrack.search import Budget, Data, Family, Float, Pruner, Study

STUDY = Study(
    "big",
    data=Data("digits"),
    budget=Budget(trials=4, epochs=2),
    pruner=Pruner("none"),
    families=[
        Family(
            "mlp",
            architecture="mlp",
            options={"batch_size": 256, "depth": 2, "width": 512},
            space={"lr": Float(1e-4, 1e-1, log=True)},
        ),
    ],
)
"""
RUN = ("run", "big.py", "--launcher", "inline", "--threads", "1")

SIZES = (
    (50, 400, 700, 1000, 1300, 1600, 1900, 2200, 2600, 3000) if "OPTRACK_TORTURE" in os.environ else (50, 1300, 2600)
)
"""Of the file system, in kB: there is no space for the images, for MLflow's tables, for weights, …"""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Make a file system of so many kB, or make it larger."""
    folder = tmp_path / "small"

    def of_size(kilobytes: int) -> Path:
        options = [f"size={kilobytes}k", *(["remount"] if folder.is_mount() else [])]
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no file system may be mounted here")
        return folder

    yield of_size
    unmount = ["umount", "--lazy", str(folder)]  # at once, whoever has a file open there
    subprocess.run(unmount, capture_output=True, check=False)


@pytest.mark.parametrize("kilobytes", SIZES)
def test_a_search_ends_with_a_sentence_and_goes_on_when_there_is_space(
    kilobytes: int, small: Callable[[int], Path], forked_optrack: Path
) -> None:
    folder = small(kilobytes)
    (folder / "big.py").write_text(STUDY)

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run([forked_optrack, *RUN], cwd=folder, capture_output=True, text=True, check=False)

    answer = run()
    assert "Traceback" not in answer.stderr
    if answer.returncode:
        assert answer.returncode == 1, answer.stderr
        last = answer.stderr.splitlines()[-1]
        assert last.startswith("optrack: error: ")
        assert "No space left" in last or "disk is full" in last
        assert last.endswith(f"`optrack {' '.join(RUN)}` goes on where it stopped")
    else:  # MLflow alone had no space
        assert "`optrack sync big` writes them" in answer.stderr
    small(50_000)
    answer = run()
    assert answer.returncode == 0, answer.stderr
    (family,) = stored_families(read_storage(f"sqlite:///{folder}/optuna.db"), "big")
    assert [(trial.state, len(trial.epochs)) for trial in family.trials] == [("finished", 2)] * 4
