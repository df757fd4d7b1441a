"""What is installed, and what it needs."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
ROOMS = ("architectures", "datasets", "search", "sources", "studies")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
DEPENDENCIES: list[str] = [
    *PROJECT["project"]["dependencies"],
    *(entry for group in PROJECT["dependency-groups"].values() for entry in group if isinstance(entry, str)),
]
PINS = {
    canonicalize_name(pin.name): str(pin.specifier)
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
    for pin in [Requirement(line.split("#")[0])]
}


def packages() -> set[str]:
    folders = [path.parent for room in ROOMS for path in (ROOT / room).rglob("__init__.py")]
    return {".".join(("optrack", *folder.relative_to(ROOT).parts)) for folder in folders}


def test_the_listed_packages_are_the_folders() -> None:
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert listed == sorted(packages())


def test_every_folder_with_modules_is_a_package() -> None:
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file()


def test_each_room_says_that_it_is_typed() -> None:
    for room in ROOMS:
        assert (ROOT / room / "py.typed").is_file()


@pytest.fixture
def wheel(tmp_path: Path) -> zipfile.ZipFile:
    """A wheel, built from a copy, because setuptools writes beside the sources."""
    for name in (*ROOMS, "pyproject.toml", "README.md", "LICENSE"):
        source, target = ROOT / name, tmp_path / "source" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    code = f"from setuptools import build_meta; build_meta.build_wheel({str(tmp_path)!r})"
    built = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "source", capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    (file,) = tmp_path.glob("*.whl")
    return zipfile.ZipFile(file)


def test_the_wheel_holds_every_file_of_the_rooms_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    pytest.importorskip("setuptools")
    with wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        entry_points = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
        assert b"optrack = optrack.search.cli:main" in wheel.read(entry_points)
    expected = {
        f"optrack/{path.relative_to(ROOT)}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == expected
    assert {"optrack/search/importance/page.html", "optrack/search/py.typed", "optrack/studies/digits.py"} <= names


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_refuses_to_be_imported_as_a_top_level_package(room: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", f"import {room}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert f"ImportError: import optrack.{room}, not {room}" in result.stderr


@pytest.mark.parametrize("dependency", DEPENDENCIES)
def test_a_dependency_has_a_lower_bound_and_is_pinned_above_it(dependency: str) -> None:
    requirement = Requirement(dependency)
    (bound,) = requirement.specifier
    assert bound.operator == ">="
    pin = PINS[canonicalize_name(requirement.name)]
    assert pin.startswith("==")
    assert requirement.specifier.contains(Version(pin.removeprefix("==")))


def test_every_dependency_says_what_it_is_for() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    start = lines.index("dependencies = [") + 1
    block = lines[start : lines.index("]", start)]
    assert len(block) == len(PROJECT["project"]["dependencies"])
    assert [line for line in block if not re.search(r'",\s+# \S', line)] == []


def test_every_third_party_import_is_a_declared_dependency() -> None:
    import ast
    from importlib.metadata import packages_distributions

    declared = {canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]}
    distributions = packages_distributions()
    undeclared: set[str] = set()
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            tops = {name.split(".")[0] for name in names} - {*sys.stdlib_module_names, "optrack"}
            for top in tops:
                owners = {canonicalize_name(owner) for owner in distributions.get(top, [top])}
                if not owners & (declared):
                    undeclared.add(top)
    assert undeclared == set()
