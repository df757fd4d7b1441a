"""Which room may import which, read out of the source files."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("architectures", "datasets", "search", "sources", "studies")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

SEARCH = "optrack.search"
VALUES = ("study", "space", "errors")

# What a module, or all modules of a package, may import of ours; the longest name that fits counts.
ALLOWED = {
    "optrack.architectures": ["optrack.architectures", "optrack.sources"],
    "optrack.datasets": ["optrack.datasets", "optrack.sources"],
    "optrack.sources": ["optrack.sources"],
    "optrack.studies": [SEARCH],
    f"{SEARCH}.errors": [],
    f"{SEARCH}.space": [f"{SEARCH}.errors"],
    f"{SEARCH}.study": [f"{SEARCH}.errors", f"{SEARCH}.space"],
    f"{SEARCH}.parameters": [f"{SEARCH}.errors"],
    f"{SEARCH}.training": [
        *(f"{SEARCH}.{name}" for name in ("training", *VALUES)),
        "optrack.architectures",
        "optrack.datasets",
    ],
    f"{SEARCH}.launchers": [f"{SEARCH}.launchers", f"{SEARCH}.training"],
    f"{SEARCH}.sampling": [f"{SEARCH}.{name}" for name in (*VALUES, "parameters")],
    f"{SEARCH}.storage": [f"{SEARCH}.{name}" for name in (*VALUES, "databases")],
    f"{SEARCH}.databases": [],
    f"{SEARCH}.tracking": [
        *(f"{SEARCH}.{name}" for name in (*VALUES, "mlflow_address", "mlflow_pages")),
        "optrack.datasets",
    ],
    f"{SEARCH}.mlflow_address": [f"{SEARCH}.databases", f"{SEARCH}.errors"],
    f"{SEARCH}.model_runs": [f"{SEARCH}.errors", f"{SEARCH}.mlflow_address"],
    f"{SEARCH}.results": [f"{SEARCH}.storage", f"{SEARCH}.study"],
    f"{SEARCH}.scores": [f"{SEARCH}.errors"],
    f"{SEARCH}.significance": [],
    f"{SEARCH}.verdict": [f"{SEARCH}.{name}" for name in ("errors", "results", "significance")],
    f"{SEARCH}.mlflow_pages": [f"{SEARCH}.study", "optrack.datasets"],
    f"{SEARCH}.servers": [f"{SEARCH}.errors"],
    f"{SEARCH}.listening": [f"{SEARCH}.errors", f"{SEARCH}.servers"],
    f"{SEARCH}.serving": [
        *(f"{SEARCH}.{name}" for name in ("champion", "errors", "pages", "predicting", "study")),
        "optrack.datasets",
    ],
}

# The files that own Optuna and MLflow: all others get values from them.
OPTUNA = {
    *(
        "candidates",
        "cli/stored",
        "coordinator",
        "family_search",
        "importance",
        "importance_page",
        "plot_trials",
        "plots",
        "report/trials",
        "sampling",
        "storage",
        "summary",
    ),
}
MLFLOW = {"mlflow_address", "mlflow_model", "model_runs", "registry", "tracking"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("optrack", *parts)).removesuffix(".__init__")


def package_of(path: Path) -> str:
    name = module_name(path)
    return name if path.name == "__init__.py" else name.rpartition(".")[0]


def written_imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every imported module with the level that it is written at; 0 for absolute imports."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module, node.level
        elif isinstance(node, ast.ImportFrom):  # from . import name: a module, or what __init__ holds
            yield from ((alias.name, node.level) for alias in node.names)


def imports(path: Path) -> set[str]:
    """The full names of all imported modules."""
    package = package_of(path).split(".")
    found: set[str] = set()
    for name, level in written_imports(path):
        base = package[: len(package) - level + 1] if level else []
        found.add(".".join([*base, name]))
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT).with_suffix(""))


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_a_module_imports_only_the_rooms_that_it_may(path: Path) -> None:
    name = module_name(path)
    rules = [package for package in ALLOWED if within(name, package)]
    if not rules:
        return
    allowed = ALLOWED[max(rules, key=len)]
    ours = {imported for imported in imports(path) if within(imported, "optrack")}
    assert {imported for imported in ours if not any(within(imported, room) for room in allowed)} == set()


def test_every_rule_is_about_a_module_that_exists() -> None:
    names = {module_name(path) for path in FILES}
    assert set(ALLOWED) <= names | {"optrack.studies"}
    assert {f"search/{name}" for name in OPTUNA | MLFLOW} <= {shown(path) for path in FILES}


def test_the_rules_would_be_seen_to_be_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "search" / "training" / "loop.py"
    source.parent.mkdir(parents=True)
    source.write_text("from ..coordinator import x\nfrom ...datasets.cache import y\nfrom . import job\nimport a.b\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert imports(source) == {
        f"{SEARCH}.coordinator",
        "optrack.datasets.store.cache",
        f"{SEARCH}.training.job",
        "a.b",
    }


def test_studies_import_the_face_of_the_search_and_nothing_else() -> None:
    for path in (ROOT / "studies").glob("*.py"):
        assert imports(path) <= {SEARCH, "math"}


@pytest.mark.parametrize(("library", "owners"), [("optuna", OPTUNA), ("mlflow", MLFLOW)])
def test_optuna_and_mlflow_are_imported_by_the_files_that_own_them(library: str, owners: set[str]) -> None:
    found = {shown(path) for path in FILES if any(within(name, library) for name in imports(path))}
    assert found == {f"search/{owner}" for owner in owners}


def test_the_sealed_test_alone_opens_the_test_part() -> None:
    importers = {
        shown(path)
        for path in FILES
        if path.parts[-2] != "datasets"
        and any("sealed" in name.split(".") and "datasets" in name.split(".") for name in imports(path))
    }
    assert importers == {"search/sealed_test"}
    users = {shown(path) for path in FILES if f"{SEARCH}.sealed_test" in imports(path)}
    assert users == {"search/judging"}


def test_nothing_but_the_command_line_imports_the_command_line() -> None:
    importers = {module_name(path) for path in FILES if any(within(name, f"{SEARCH}.cli") for name in imports(path))}
    assert all(within(name, f"{SEARCH}.cli") for name in importers)


def test_imports_inside_the_package_are_relative() -> None:
    absolute = {
        (shown(path), name)
        for path in FILES
        if path.parent.name != "studies"
        for name, level in written_imports(path)
        if level == 0 and within(name, "optrack")
    }
    # The shipped studies are looked up as a package; nothing is taken from it.
    assert absolute <= {("search/loading", "optrack.studies")}


def test_a_worker_knows_neither_optuna_nor_mlflow() -> None:
    code = "import sys, optrack.search.launchers; print(sorted({'optuna', 'mlflow'} & {*sys.modules}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
