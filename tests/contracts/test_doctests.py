"""Every example in a docstring does what it says."""

import doctest
import importlib
import pkgutil

import pytest

ROOMS = ("optrack.architectures", "optrack.datasets", "optrack.search", "optrack.sources", "optrack.studies")


def modules() -> list[str]:
    found: list[str] = []
    for room in ROOMS:
        package = importlib.import_module(room)
        found += [room, *(module.name for module in pkgutil.walk_packages(package.__path__, f"{room}."))]
    return found


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_a_module_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples_to_check() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [test.examples for name in modules() for test in finder.find(importlib.import_module(name))]
    assert sum(map(len, examples)) > 30
