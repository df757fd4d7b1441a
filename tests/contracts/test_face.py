"""What can be imported from each room, and what that costs."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import optrack.search

ROOT = Path(__file__).parents[2]
FACES = sorted(
    path.relative_to(ROOT)
    for room in ("architectures", "datasets", "search", "sources")
    for path in (ROOT / room).rglob("__init__.py")
)


def package_of(path: Path) -> str:
    return ".".join(("optrack", *path.parent.parts))


def homes(path: Path) -> dict[str, str]:
    """Each name of a face, with the module that it comes from."""
    stub = (ROOT / path).with_suffix(".pyi")
    face = stub if stub.exists() else ROOT / path
    return {
        alias.name: node.module or ""
        for node in ast.walk(ast.parse(face.read_bytes()))
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }


@pytest.mark.parametrize("path", FACES, ids=package_of)
def test_a_face_has_all_that_its_stub_names(path: Path) -> None:
    module = importlib.import_module(package_of(path))
    assert {name: getattr(module, name) for name in homes(path)} == {
        name: getattr(importlib.import_module(f"{package_of(path)}.{home}"), name) for name, home in homes(path).items()
    }
    assert homes(path).keys() <= {*dir(module)}


@pytest.mark.parametrize("path", FACES, ids=package_of)
def test_no_name_of_a_face_is_that_of_a_module_beside_it(path: Path) -> None:
    """Python would put the module in the name's place once it is imported."""
    beside = {other.stem for other in (ROOT / path).parent.glob("*.py")}
    beside |= {other.parent.name for other in (ROOT / path).parent.glob("*/__init__.py")}
    assert homes(path).keys() & beside == set()


def test_a_misspelt_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"optrack\.search attribute Studdy"):
        getattr(optrack.search, "Studdy")  # noqa: B009 - a checker would refuse the plain way


def test_every_error_of_the_search_can_be_caught_by_its_root() -> None:
    errors = importlib.import_module("optrack.search.errors")
    defined = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert {name for name in defined if issubclass(getattr(errors, name), errors.OptrackError)} == defined
    assert defined <= {*dir(optrack.search)}


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
