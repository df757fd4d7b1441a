"""What can be imported from each room, and what that costs."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import optrack.search

PACKAGES = (
    "optrack.architectures",
    "optrack.datasets",
    "optrack.search",
    "optrack.search.cli",
    "optrack.search.launchers",
    "optrack.search.training",
)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_of_a_face_is_there_and_they_are_sorted(package: str) -> None:
    module = importlib.import_module(package)
    assert sorted(module.__all__, key=lambda name: (not name.isupper(), name)) == module.__all__
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("package", ["optrack.datasets", "optrack.search"])
def test_a_face_is_what_it_imports_at_once_and_what_it_imports_lazily(package: str) -> None:
    module = importlib.import_module(package)
    tree = ast.parse(Path(str(module.__file__)).read_bytes())
    at_once = {
        alias.name for node in tree.body if isinstance(node, ast.ImportFrom) and node.level for alias in node.names
    }
    typed = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.If)
        for inner in node.body
        if isinstance(inner, ast.ImportFrom)
        for alias in inner.names
    }
    assert set(module._LAZY) == typed
    assert set(module.__all__) == at_once | typed


def test_lazy_names_come_from_the_modules_that_the_table_says() -> None:
    for name, module in optrack.search._LAZY.items():  # pyright: ignore[reportPrivateUsage]
        home = importlib.import_module(f"optrack.search.{module}")
        assert getattr(optrack.search, name) is getattr(home, name)


def test_a_misspelt_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"'optrack\.search' has no attribute 'Studdy'"):
        getattr(optrack.search, "Studdy")  # noqa: B009 - a checker would refuse the plain way


def test_every_error_of_the_search_can_be_caught_by_its_root() -> None:
    errors = importlib.import_module("optrack.search.errors")
    defined = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert {name for name in defined if issubclass(getattr(errors, name), errors.OptrackError)} == defined
    assert defined <= set(optrack.search.__all__)


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("optrack.search", {"torch", "mlflow", "optuna", "pydantic", "numpy"}),
        ("optrack.search.study.study", {"torch", "mlflow", "optuna", "numpy"}),
        ("optrack.architectures", {"torch", "torchvision", "numpy"}),
        ("optrack.datasets", {"torch", "torchvision", "numpy", "sklearn"}),
        ("optrack.studies.digits", {"torch", "mlflow", "optuna"}),
    ],
)
def test_importing_a_module_imports_nothing_heavy(module: str, heavy: set[str]) -> None:
    code = f"import sys, {module}; print(sorted({heavy} & {{*sys.modules}}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
