"""A network and a data set of somebody's own, from their files to a champion that is rebuilt elsewhere."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., subprocess.CompletedProcess[str]]

NETWORK = '''
"""Two convolutions, global average pooling, one linear layer."""

from typing import Annotated, Literal

from annotated_types import Ge, Lt
from torch import Tensor, nn


class MyNet(nn.Module):
    """Convolutions with batch norm, pooled to one vector."""

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        *,
        width: Annotated[int, Ge(4)] = 16,
        depth: Annotated[int, Ge(1)] = 2,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        activation: Literal["relu", "gelu"] = "relu",
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = input_shape[0]
        for level in range(depth):
            layers += [
                nn.Conv2d(channels, width * 2**level, 3, padding=1, bias=False),
                nn.BatchNorm2d(width * 2**level),
                nn.GELU() if activation == "gelu" else nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            channels = width * 2**level
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images).mean(dim=(2, 3)))
'''

DATA = '''
"""Bright and dark squares."""

import numpy as np


class Squares:
    classes = ("dark", "bright")

    def train(self):
        labels = np.arange(80) % 2
        noise = np.random.default_rng(0).integers(0, 100, (80, 3, 16, 16))
        return (noise + 100 * labels[:, None, None, None]).astype(np.uint8), labels
'''

STUDY = """
from optrack.search import Budget, Categorical, Data, Family, Float, Int, Pruner, Study

STUDY = Study(
    "squares",
    data=Data("squares.py:Squares"),
    budget=Budget(trials=2, epochs=2),
    pruner=Pruner("none"),
    families=[
        Family(
            "mine",
            architecture="my_net.py:MyNet",
            options={"batch_size": 16},
            space={
                "lr": Float(1e-3, 1e-2, log=True),
                "width": Categorical(4, 8),
                "depth": Int(1, 2),
                "activation": Categorical("relu", "gelu"),
            },
        ),
        Family("lenet", architecture="lenet", options={"batch_size": 16}, space={"lr": Float(1e-3, 1e-2, log=True)}),
    ],
)
"""

REBUILD = """
import sys
import numpy as np
from optrack.search import load_champion
champion = load_champion("squares", "mine", tracking_uri=sys.argv[1], run_source=sys.argv[2] or None)
np.save(sys.argv[3], champion.logits(np.load(sys.argv[4])))
"""


@pytest.fixture
def squares(folder: Path, empty_mlflow: Path) -> Path:
    (folder / "my_net.py").write_text(NETWORK)
    (folder / "squares.py").write_text(DATA)
    (folder / "study.py").write_text(STUDY)
    shutil.copy(empty_mlflow, folder / "mlflow.db")
    return folder


def rebuilt(folder: Path, here: Path, source: str, images: Path) -> np.ndarray:
    """Logits of the champion in a fresh process that stands in a folder."""
    answer = here / "logits.npy"
    command = [sys.executable, "-c", REBUILD, f"sqlite:///{folder}/mlflow.db", source, str(answer), str(images)]
    subprocess.run(command, cwd=here, check=True)
    return np.load(answer)


@pytest.mark.slow
def test_a_network_and_a_data_set_of_one_s_own_are_searched_tested_and_rebuilt(
    squares: Path, optrack: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from mlflow import MlflowClient

    for command in ("run study.py --workers 2 --threads 1", "retrain study.py --seeds 1 --workers 2 --threads 1"):
        answer = optrack(*command.split())
        assert answer.returncode == 0, answer.stderr
    judged = json.loads(optrack("test", "study.py", "--json").stdout)
    assert {family["family"] for family in judged["families"]} == {"mine", "lenet"}

    # The record: the code as it was, its digest, and in the champion's configuration both.
    client = MlflowClient(f"sqlite:///{squares}/mlflow.db")
    [experiment] = client.search_experiments(filter_string="name = 'squares'")
    runs = client.search_runs([experiment.experiment_id])
    [mine] = [run for run in runs if run.data.tags["optrack.stage"] == "family" and run.info.run_name == "mine"]
    assert mine.data.tags["optrack.source_digest"] == sha256(NETWORK.encode()).hexdigest()
    assert {item.path for item in client.list_artifacts(mine.info.run_id, "source")} == {
        "source/my_net.py",
        "source/squares.py",
    }
    [model] = (squares / "mlruns").glob("squares/*/artifacts/model/source/my_net.py")
    assert model.read_text() == NETWORK

    images = squares / "images.npy"
    np.save(images, np.random.default_rng(1).integers(0, 256, (5, 3, 16, 16), dtype=np.uint8))
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    logits = rebuilt(squares, squares, "", images)
    assert np.array_equal(rebuilt(squares, elsewhere, "my_net.py", images), logits)

    Image.fromarray(np.full((20, 20, 3), 220, dtype=np.uint8)).save(squares / "one.png")
    here = optrack("predict", "squares", "one.png", "--family", "mine", "--json")
    (squares / "my_net.py").unlink()
    away = optrack("predict", "squares", "one.png", "--family", "mine", "--json")
    assert (away.returncode, away.stdout) == (2, "")
    assert "there is no file my_net.py" in away.stderr
    assert "--run-source my_net.py" in away.stderr
    named = optrack("predict", "squares", "one.png", "--family", "mine", "--json", "--run-source", "my_net.py")
    assert (named.returncode, named.stdout) == (0, here.stdout)


def test_a_search_does_not_go_on_with_other_code(squares: Path, optrack: Run) -> None:
    run = ("run", "study.py", "--launcher", "inline", "--trials", "1", "--epochs", "1", "--family", "mine")
    assert optrack(*run).returncode == 0
    (squares / "my_net.py").write_text(NETWORK.replace("2**level", "3**level"))
    for command in (run, ("retrain", "study.py", "--launcher", "inline")):
        refused = optrack(*command)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "source in family 'mine' was my_net.py with SHA-256" in refused.stderr
    (squares / "my_net.py").write_text(NETWORK)
    assert optrack("retrain", "study.py", "--launcher", "inline", "--seeds", 1).returncode == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(channels, classes)", "(channels, 7)", "family 'mine': my_net.py:MyNet must give logits [B, classes]"),
        ("mean(dim=(2, 3)))", "mean(dim=(2, 3))) / 0", "my_net.py:MyNet must give finite logits"),
        ("        *,\n", "", "my_net.py:MyNet must take hyperparameters by keyword alone, behind a *"),
        ("from torch import", "from torhc import", "my_net.py, line 7: ModuleNotFoundError: No module named 'torhc'"),
        ("class MyNet(nn.Module):", "class MyNet(nn.Module:", "my_net.py, line 10: "),
        ("(nn.Module):", "(dict):", "my_net.py:MyNet must be a class of torch.nn.Module, but is a class of dict"),
        ("class MyNet", "class MyNett", "my_net.py has no 'MyNet' (did you mean 'MyNett'?)"),
        ("return self.head", "return images.mean(dim=(1, 2, 3))[:, None].expand(-1, 2)  #", "get no gradient"),
    ],
)
def test_a_broken_network_is_refused_before_anything_is_recorded(
    old: str, new: str, message: str, squares: Path, optrack: Run
) -> None:
    assert old in NETWORK
    (squares / "my_net.py").write_text(NETWORK.replace(old, new))
    refused = optrack("run", "study.py", "--launcher", "inline")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert message in refused.stderr
    assert refused.stderr.startswith("optrack: error: ")
    assert refused.stderr.count("\n") == 1
    assert not (squares / "optuna.db").exists()


def test_a_network_without_parameters_is_refused(squares: Path, optrack: Run) -> None:
    body = "import torch\n\nclass MyNet(torch.nn.Module):\n    def __init__(self, input_shape, classes, *, width=4, "
    body += "depth=1, activation=''):\n        super().__init__()\n\n    def forward(self, images):\n"
    (squares / "my_net.py").write_text(f"{body}        return images.flatten(1)[:, :2]\n")
    refused = optrack("run", "study.py", "--launcher", "inline")
    assert "my_net.py:MyNet must have parameters to train, but has none" in refused.stderr


def test_one_s_own_network_and_data_set_are_shown_like_others(squares: Path, optrack: Run) -> None:
    shown = json.loads(optrack("architecture", "show", "my_net.py:MyNet", "--input", "3,16,16", "--json").stdout)
    assert shown["architecture"] == "MyNet"
    assert shown["parameters"]["total"] > 1000
    counted = json.loads(optrack("dataset", "stats", "squares.py:Squares", "--json").stdout)
    assert counted["splits"]["test"]["images"] == 16
    assert squares == Path.cwd()
