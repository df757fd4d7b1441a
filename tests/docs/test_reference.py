"""The reference says what the code says."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WRITTEN = ("architectures.md", "commands.md", "strategies.md")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` would write."""
    folder = tmp_path_factory.mktemp("reference")
    subprocess.run([sys.executable, ROOT / "docs/write_reference.py", folder], check=True)
    return folder


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_read_out_of_the_code_is_up_to_date(name: str, written: Path) -> None:
    assert (ROOT / "docs/reference" / name).read_text() == (written / name).read_text(), "`make docs` writes it anew"


def test_nothing_else_is_written(written: Path) -> None:
    assert sorted(path.name for path in written.iterdir()) == list(WRITTEN)


def leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    children: dict[str, Any] = getattr(command, "commands", {})
    for child, nested in children.items():
        yield from leaves(nested, f"{name} {child}")
    if not children:
        yield name, command


def test_every_command_and_every_option_is_in_the_reference(written: Path) -> None:
    from typer.main import get_command

    from optrack.search.cli.app import app

    sections = (written / "commands.md").read_text().split("\n## ")
    for name, command in leaves(get_command(app), "optrack"):
        [section] = [text for text in sections if text.startswith(f"{name}\n")]
        options = [each.opts[0] for each in command.params if each.param_type_name == "option" and each.name != "help"]
        assert [option for option in options if f"| `{option}" not in section] == []


def test_the_study_s_reference_names_every_part_of_a_study_file() -> None:
    from optrack.search.study.study import __name__ as study_module

    page = (ROOT / "docs/reference/study-file.md").read_text()
    for name in ("Study", "Data", "Budget", "Family", "Reference", "Sampler", "Pruner"):
        assert f"::: {study_module}.{name}\n" in page
    for name in ("Float", "Int", "Categorical"):
        assert f"::: optrack.search.study.space.{name}\n" in page
