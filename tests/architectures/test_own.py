"""People's own networks: found, checked, described, and what is wrong with them said in a sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from optrack.architectures import ARCHITECTURES, OwnArchitectureError, UnknownArchitectureError, architecture
from optrack.architectures.contract import check_contract
from optrack.architectures.inspection import describe
from optrack.sources import SourceError

SHAPE, CLASSES = (3, 16, 16), 5

HEADER = "import torch\nfrom torch import nn\n\n"
CONSTRUCTOR = "    def __init__(self, input_shape, classes, *, width: int = 8):\n        super().__init__()\n"
LAYER = "        self.layer = nn.Linear(input_shape[0], classes)\n"
FORWARD = "    def forward(self, images):\n        return self.layer(images.mean(dim=(2, 3)))\n"


def net(*, constructor: str = CONSTRUCTOR, body: str = LAYER, forward: str = FORWARD, base: str = "nn.Module") -> str:
    return f"{HEADER}class Net({base}):\n{constructor}{body}{forward}"


@pytest.fixture
def problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """What is said about a file with a network in it."""
    monkeypatch.chdir(tmp_path)

    def check(text: str) -> str:
        (tmp_path / "my_net.py").write_text(text)
        with pytest.raises((OwnArchitectureError, SourceError)) as raised:
            check_contract("my_net.py:Net", architecture("my_net.py:Net"), SHAPE, CLASSES, {})
        assert "\n" not in str(raised.value)
        return str(raised.value)

    return check


def test_a_network_in_a_file_is_an_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_net.py").write_text(net())
    build = architecture("my_net.py:Net")
    assert build(SHAPE, CLASSES, width=3)(torch.zeros(2, *SHAPE)).shape == (2, CLASSES)
    check_contract("my_net.py:Net", build, SHAPE, CLASSES, {"width": 3})
    assert describe("my_net.py:Net", SHAPE, CLASSES).parameters.total == 4 * CLASSES


def test_the_check_leaves_the_caller_s_random_numbers_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_net.py").write_text(net())
    before = torch.random.get_rng_state()
    check_contract("my_net.py:Net", architecture("my_net.py:Net"), SHAPE, CLASSES, {})
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", ["lenet", "mlp", "logistic", "lenet3", "mobilenet_v2"])
def test_registered_architectures_keep_to_the_same_contract(name: str) -> None:
    assert name in ARCHITECTURES
    check_contract(name, architecture(name), (3, 32, 32), CLASSES, {})


ACTIVE_DROPOUT = """    def forward(self, images):
        images = nn.functional.dropout(images, 0.5, training=True)
        return self.layer(images.mean(dim=(2, 3)))
"""

LOST_LAYERS = (
    LAYER + "        self.layers = [nn.Linear(input_shape[0], input_shape[0])]\n",
    """    def forward(self, images):
        return self.layer(self.layers[0](images.mean(dim=(2, 3))))
""",
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            net(body=LAYER.replace("classes", "7")),
            "my_net.py:Net must give logits [B, classes], float, [4, 5] for [4, 3, 16, 16], but gives [4, 7], float32",
            id="a wrong output shape",
        ),
        pytest.param(
            net(forward="    def forward(self, images):\n        return self.layer(images.mean(dim=(2, 3))) / 0\n"),
            "my_net.py:Net must give finite logits, but gives NaN or infinity",
            id="NaN",
        ),
        pytest.param(
            net(
                body="        self.classes = classes\n",
                forward="    def forward(self, images):\n        return images.flatten(1)[:, :5]\n",
            ),
            "my_net.py:Net must have parameters to train, but has none",
            id="no parameters",
        ),
        pytest.param(
            net(constructor=CONSTRUCTOR.replace("*, ", "")),
            "my_net.py:Net must take hyperparameters by keyword alone, behind a *, as in (self, input_shape, classes, "
            "*, hyperparameters...), but takes width by position",
            id="hyperparameters by position",
        ),
        pytest.param(
            net(constructor=CONSTRUCTOR.replace("input_shape, classes, *, width: int = 8", ""), body=""),
            "the constructor of my_net.py:Net must take (self, input_shape, classes, *, hyperparameters...), "
            "but takes (self)",
            id="a constructor that takes nothing",
        ),
        pytest.param(
            net().replace("import torch\n", "import torhc\n"),
            "my_net.py, line 1: ModuleNotFoundError: No module named 'torhc'",
            id="an import error",
        ),
        pytest.param(net() + "def (:\n", "my_net.py, line 10: invalid syntax", id="a syntax error"),
        pytest.param(
            net(base="dict"), "my_net.py:Net must be a class of torch.nn.Module, but is a class of dict", id="no Module"
        ),
        pytest.param("def Net(): ...\n", "must be a class of torch.nn.Module, but is a function", id="a function"),
        pytest.param(net().replace("Net", "Ned"), "my_net.py has no 'Net' (did you mean 'Ned'?)", id="another name"),
        pytest.param(
            net(constructor=CONSTRUCTOR.replace("width: int", "width: 'itn'")),
            "an annotation in the constructor of my_net.py:Net cannot be read: name 'itn' is not defined",
            id="an annotation that is none",
        ),
        pytest.param(
            net(constructor=CONSTRUCTOR.replace(" = 8", "")),
            "my_net.py:Net cannot be built: TypeError: Net.__init__() missing 1 required keyword-only argument",
            id="a hyperparameter without a value",
        ),
        pytest.param(
            net(body=LAYER.replace("input_shape[0]", "11")),
            "my_net.py:Net cannot be trained, line 9: RuntimeError: mat1 and mat2",
            id="shapes that do not fit",
        ),
        pytest.param(
            net(body=LAYER + "        self.other = nn.Linear(2, 2)\n"),
            "must use every parameter, but 2 of 4 get no gradient, such as other.weight",
            id="a layer that is not used",
        ),
        pytest.param(
            net(forward=FORWARD.replace("return self.layer(", "return [self.layer(").replace("3)))", "3)))]")),
            "but gives a list",
            id="no tensor",
        ),
        pytest.param(
            net(
                forward="    def forward(self, images):\n        means = images.mean(dim=(2, 3))\n"
                "        return self.layer(nn.functional.batch_norm(means, None, None, training=True))\n",
            ),
            "my_net.py:Net cannot be evaluated, line 10: ValueError: Expected more than 1 value per channel",
            id="a single image",
        ),
        pytest.param(
            net(forward=ACTIVE_DROPOUT),
            "must give the same logits for the same images in evaluation, but does not",
            id="dropout in evaluation",
        ),
        pytest.param(
            net(body=LOST_LAYERS[0], forward=LOST_LAYERS[1]),
            "must be the same again with its state_dict, but is not: hold all layers as attributes or in nn.ModuleList",
            id="layers in a list",
        ),
    ],
)
def test_what_is_broken_in_a_network_is_said_in_a_sentence(
    problem: Callable[[str], str], text: str, message: str
) -> None:
    assert message in problem(text)


def test_a_constructor_without_hyperparameters_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_net.py").write_text(net(constructor=CONSTRUCTOR.replace(", *, width: int = 8", "")))
    check_contract("my_net.py:Net", architecture("my_net.py:Net"), SHAPE, CLASSES, {})


def test_what_an_own_network_raises_while_it_is_described_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_net.py").write_text(net(body=LAYER.replace("input_shape[0]", "11")))
    with pytest.raises(OwnArchitectureError, match=r"cannot be described, line 9: RuntimeError"):
        describe("my_net.py:Net", SHAPE, CLASSES)


def test_a_name_that_is_no_architecture_s_says_how_one_s_own_is_named() -> None:
    with pytest.raises(UnknownArchitectureError, match=r"FILE\.py:CLASS"):
        architecture("my_net")
