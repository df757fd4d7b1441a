"""Which file may import which, read out of the sources and of docs/architecture.md."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = ("sources", "architectures", "datasets", "search", "studies")
PAGE = (ROOT / "docs" / "architecture.md").read_text()

SEARCH = re.findall(r"^\| `(\w+)` \|", PAGE.split("## The rooms of `search/`")[1].split("##")[0], re.MULTILINE)
DATASETS = re.findall(r"`(\w+)`", PAGE.split("Inside `datasets/`, in the same order:")[1].split("\n\n")[0])
"""Rooms in the order in which they may import: each only those before it."""

MAY_IMPORT = {
    "sources": {"sources"},
    "architectures": {"architectures", "sources"},
    "datasets": {"datasets", "sources"},
    "search": {"search", "architectures", "datasets", "sources"},
    "studies": {"search"},
}

# The files, or whole rooms, that own a library: all others get values from them.
OWNERS: dict[str, set[str]] = {
    "optuna": {
        "search/cli/stored",
        "search/coordinator/coordinator",
        "search/coordinator/family_search",
        "search/coordinator/strategies",
        "search/importance",
        "search/stores/optuna_store",
        "search/mirror/live",
        "search/stores/ranking",
        "search/stores/records",
        "search/stores/trials",
        "search/stores/waiting_storage",
    },
    "mlflow": {
        "search/champions/mlflow_model",
        "search/champions/registry",
        "search/stores/mlflow_database",
        "search/stores/mlflow_store",
        "search/mirror/mlflow_tracker",
    },
    "plotly": {"search/pages/html"},
    "torchvision": {"sources/torchvision_compat"},
    "torch": {
        "architectures",
        "datasets/augmentation",
        "datasets/prepared/previews",
        "search/champions/champion",
        "search/champions/onnx_export",
        "search/coordinator/checks",
        "search/launchers/machine",
        "search/new_study/speed",
        "search/pictures/champion",
        "search/pictures/images",
        "search/pictures/layers",
        "search/sealed/sealed_test",
        "search/training",
        "sources/torchvision_compat",
    },
}

# Names that point down, and are no imports of ours.
EXCEPTIONS = {
    ("search/champions/mlflow_model.py", "optrack.search.pyfunc"),  # MLflow loads a saved model through it
    ("search/study/lookup.py", "optrack.studies"),  # the folder that shipped studies are looked up in
}

Sources = Mapping[str, str]
"""Every source file: path from the root to text."""


@pytest.fixture(scope="module")
def sources() -> Sources:
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for room in TOP
        for path in sorted((ROOT / room).rglob("*.py"))
    }


def module_name(path: str) -> str:
    return "optrack." + path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def package_of(path: str) -> str:
    return "optrack." + path.rpartition("/")[0].replace("/", ".")


@cache
def imports(path: str, text: str, modules: frozenset[str]) -> frozenset[str]:
    """The full names of all modules that a file imports, wherever the import stands, also where it is written as text.

    Args:
        path: of the file, from the root.
        text: its source.
        modules: names of all modules of ours; `from .room import name` is an import of `room.name` where that is one.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = from_base(node, package_of(path))
            names = {f"{base}.{alias.name}" for alias in node.names}
            found |= names & modules
            if not names <= modules:
                found.add(base)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= named_by(node.value, package_of(path), modules)
        elif isinstance(node, ast.Call) and called(node) in {"import_module", "resolve_name", "__import__"}:
            written = texts([*node.args, *(keyword.value for keyword in node.keywords)])
            found |= {text.split(":")[0] for text in written if re.split("[.:]", text)[0] in OWNERS}
    return frozenset(found)


def from_base(node: ast.ImportFrom, package: str) -> str:
    parts = package.split(".")
    base = parts[: len(parts) - node.level + 1] if node.level else []
    return ".".join([*base, *([node.module] if node.module else [])])


def named_by(text: str, package: str, modules: frozenset[str]) -> set[str]:
    """What modules of ours a text may name, as `"optrack.search.study:Study"`, `"..report"` and `"lenet:LeNet"` do."""
    match = re.fullmatch(r"(\.*)([\w.]+)(:[\w.]+)?", text)
    if match is None:
        return set()
    dots, name, attribute = match.groups()
    parents = package.split(".")[: len(package.split(".")) + 1 - len(dots)]
    # A bare word is a word; with a dot before or a colon behind it is a module beside this one.
    beside = longest_module(".".join([*parents, name]), modules, least=len(parents) + 1) if dots or attribute else None
    absolute = None if dots else longest_module(name, modules, least=2)
    return {module for module in (beside, absolute) if module is not None}


def longest_module(name: str, modules: frozenset[str], *, least: int) -> str | None:
    """The module of at least so many parts that a dotted name begins with; its end may be an attribute."""
    parts = name.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), least - 1, -1))
    return next((each for each in names if each in modules), None)


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def texts(nodes: Iterable[ast.expr]) -> Iterator[str]:
    return (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def graph(sources: Sources) -> dict[str, frozenset[str]]:
    """The modules that each file imports, ours and others."""
    modules = frozenset(module_name(path) for path in sources)
    return {
        path: frozenset(name for name in imports(path, text, modules) if (path, name) not in EXCEPTIONS)
        for path, text in sources.items()
    }


def violations(sources: Sources) -> list[str]:
    """Every import that points to a room that it may not point to."""
    return [
        f"{path} imports {name}"
        for path, names in graph(sources).items()
        for name in sorted(names)
        if name.split(".")[0] == "optrack" and not allowed(path, name)
    ]


def allowed(path: str, name: str) -> bool:
    ours = module_name(path).split(".")[1:]
    theirs = name.split(".")[1:]
    if name == package_of(path):  # inside a room modules import each other, not the face that imports them
        return path.endswith("__init__.py")
    if not theirs or theirs[0] not in MAY_IMPORT[ours[0]]:
        return False
    if ours[0] == "studies":
        return theirs == ["search"]
    order = {"search": SEARCH, "datasets": DATASETS}.get(ours[0])
    if ours[0] != theirs[0] or order is None or len(ours) == 1:  # another room, one without an order, or the whole face
        return True
    return len(theirs) > 1 and theirs[1] in order[: order.index(ours[1]) + 1]


def circle(sources: Sources) -> list[str]:
    """Modules of which each imports the next, and the last the first; empty where there is none.

    The faces are left out: what they import, they import when it is first used.
    """
    faces = {module_name(path) for path in sources if path.endswith("/__init__.py")}
    edges = {
        module_name(path): {name for name in names - faces - {module_name(path)} if name.startswith("optrack.")}
        for path, names in graph(sources).items()
        if module_name(path) not in faces
    }
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def owners(sources: Sources, library: str) -> set[str]:
    return {path for path, names in graph(sources).items() if any(name.split(".")[0] == library for name in names)}


def strangers(sources: Sources, library: str) -> set[str]:
    """Files that import a library and are not among its owners."""
    return {path for path in owners(sources, library) if not any(owns(owner, path) for owner in OWNERS[library])}


def owns(owner: str, path: str) -> bool:
    return path == f"{owner}.py" or path.startswith(f"{owner}/")


def planted(sources: Sources, path: str, line: str) -> Sources:
    assert path in sources, path
    return {**sources, path: f"{sources[path]}\n\ndef planted() -> None:\n    {line}\n"}


def test_every_import_points_to_a_room_that_comes_before(sources: Sources) -> None:
    assert violations(sources) == []


def test_no_modules_import_each_other_in_a_circle(sources: Sources) -> None:
    assert circle(sources) == []


@pytest.mark.parametrize("library", OWNERS)
def test_a_heavy_library_is_imported_by_the_files_that_own_it(sources: Sources, library: str) -> None:
    assert strangers(sources, library) == set()
    found = owners(sources, library)
    assert {owner for owner in OWNERS[library] if not any(owns(owner, path) for path in found)} == set()


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("search/coordinator/coordinator.py", "from ..report import render_report"),
        ("search/champions/champion.py", "from ..coordinator.coordinator import Coordinator"),
        ("search/champions/registry.py", "import optrack.search.cli.app"),
        ("search/importance/drawings.py", "from ..pictures.charts import x"),
        ("search/coordinator/checks.py", 'pkgutil.resolve_name("optrack.search.sealed.judge:judge_study")'),
        ("search/coordinator/recording.py", 'importlib.import_module("..report", __package__)'),
        ("search/importance/page.py", 'importlib.import_module("...studies.digits", __package__)'),
        ("search/training/loop.py", 'pkgutil.resolve_name("optrack.search.coordinator.coordinator.Coordinator")'),
        ("search/pages/html.py", 'pkgutil.resolve_name("optrack.search.cli.app:app.command")'),
        ("datasets/store/split.py", "from ...search.study import Study"),
        ("architectures/lenet.py", "from ..datasets import prepare"),
        ("studies/digits.py", "from optrack.search.training import train"),
    ],
)
def test_a_planted_import_is_found(sources: Sources, path: str, line: str) -> None:
    found = violations(planted(sources, path, line))
    assert len(found) == 1
    assert found[0].startswith(f"{path} imports ")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("search/study/study.py", "import optuna.trial"),
        ("search/training/loop.py", "import mlflow"),
        ("search/results/judgement.py", "from torch import Tensor"),
        ("search/coordinator/checks.py", 'importlib.import_module("plotly.graph_objects")'),
        ("architectures/lenet.py", "import torchvision"),
        ("search/coordinator/recording.py", 'importlib.import_module(name="mlflow")'),
        ("search/pages/html.py", 'pkgutil.resolve_name("optuna:create_study.x")'),
    ],
)
def test_a_planted_library_is_found(sources: Sources, path: str, line: str) -> None:
    library = next(name for name in OWNERS if re.search(rf"\b{name}\b", line))
    assert strangers(planted(sources, path, line), library) == {path}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("search/importance/resampling.py", "from .importance import importances"),
        ("search/study/space.py", "from .study import Study"),
        ("datasets/store/split.py", "from . import cache"),
    ],
)
def test_a_planted_circle_is_found(sources: Sources, path: str, line: str) -> None:
    assert module_name(path) in circle(planted(sources, path, line))


def test_the_page_names_the_rooms_and_loose_files_that_are_there() -> None:
    for folder, order in (("search", SEARCH), ("datasets", DATASETS)):
        found = {path.stem for path in (ROOT / folder).glob("*.py")} | packages(ROOT / folder)
        assert sorted(order) == sorted(found - {"__init__"})
    described = re.findall(r"^\| `(\w+)` \|", PAGE.split("## The other rooms")[1], re.MULTILINE)
    assert described == list(TOP)


def packages(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.glob("*/*.py")}


def test_every_folder_with_code_has_a_face_and_lies_one_level_deep() -> None:
    folders = {path.parent.relative_to(ROOT) for top in TOP for path in (ROOT / top).rglob("*.py")}
    assert {folder for folder in folders if not (ROOT / folder / "__init__.py").exists()} == set()
    assert {folder for folder in folders if len(folder.parts) > 2} == set()
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"benchmarks"} == set(TOP)


def test_a_room_stays_small_enough_to_find_a_file_in() -> None:
    assert len(list((ROOT / "search").glob("*.py"))) <= 5
    rooms = [path.parent for top in ("search", "datasets") for path in (ROOT / top).rglob("__init__.py")]
    files = {room.name: len(list(room.glob("*.py"))) for room in rooms if room.name != "cli"}
    assert {name: count for name, count in files.items() if count > 16} == {}


def test_every_place_that_the_page_names_is_there() -> None:
    names = set(re.findall(r"`(\w+/[\w/]*)", PAGE.replace(".py`", "`")))
    assert len(names) > 30
    assert {name for name in names if not (is_there(ROOT / name) or is_there(ROOT / "search" / name))} == set()


def is_there(path: Path) -> bool:
    return path.is_dir() or path.with_name(f"{path.name}.py").is_file()


def users(sources: Sources, wanted: str) -> set[str]:
    return {path for path, names in graph(sources).items() if any(within(name, wanted) for name in names)}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def outside(paths: Iterable[str], *rooms: str) -> set[str]:
    return {path for path in paths if not any(path.startswith(f"{room}/") for room in rooms)}


def test_the_sealed_test_alone_opens_the_test_part(sources: Sources) -> None:
    sealed = "optrack.datasets.prepared.sealed"
    assert outside(users(sources, sealed), "datasets") == {"search/sealed/sealed_test.py"}
    assert outside(users(sources, "optrack.search.sealed.sealed_test"), "search/sealed") == set()


def test_imports_inside_the_package_are_relative(sources: Sources) -> None:
    absolute = {
        (path, name)
        for path, text in sources.items()
        if not path.startswith("studies/")
        for node in ast.walk(ast.parse(text))
        for name in absolute_imports(node)
        if within(name, "optrack")
    }
    # The shipped studies are looked up as a package; nothing is taken from it.
    assert absolute <= {("search/study/lookup.py", "optrack.studies")}


def absolute_imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
        yield node.module


def test_a_worker_knows_neither_optuna_nor_mlflow() -> None:
    code = "import sys, optrack.search.launchers; print(sorted({'optuna', 'mlflow'} & {*sys.modules}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_one_function_opens_image_files_in_the_formats_that_are_read(sources: Sources) -> None:
    # Pillow left alone tries all that it knows, PostScript among it, which it gives to Ghostscript.
    opening = re.compile(r"Image\.open\(|Image import open|imread\(|decode_(image|jpeg|png)\(")
    found = [(path, match[0]) for path, text in sources.items() for match in opening.finditer(text)]
    assert found == [("datasets/store/decoding.py", "Image.open(")]
    assert "Image.open(file, formats=FORMATS)" in sources["datasets/store/decoding.py"]
