"""Every example in a docstring does what it says."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("architectures", "datasets", "search", "sources", "studies")


def modules_with_examples() -> list[str]:
    files = [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py")) if ">>> " in file.read_text()]
    names = [".".join(("optrack", *file.relative_to(ROOT).with_suffix("").parts)) for file in files]
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_a_module_hold(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0


def test_there_are_examples_to_check() -> None:
    assert len(modules_with_examples()) > 10
