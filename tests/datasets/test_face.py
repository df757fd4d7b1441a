import subprocess
import sys

import pytest

import optrack.datasets


def test_the_face_is_complete_and_sorted() -> None:
    assert sorted(optrack.datasets.__all__) == optrack.datasets.__all__
    for name in optrack.datasets.__all__:
        assert getattr(optrack.datasets, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        getattr(optrack.datasets, "lode")  # noqa: B009  a checker would refuse the plain way


def test_importing_the_room_imports_nothing_heavy() -> None:
    heavy = {"torch", "torchvision", "sklearn", "numpy", "PIL"}
    code = f"import sys, optrack.datasets; print(sorted({heavy} & {{*sys.modules}}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_second_copy_under_another_name_is_refused() -> None:
    code = f"import sys; sys.path.insert(0, {str(next(iter(optrack.datasets.__path__)))!r} + '/..'); import datasets"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "import optrack.datasets, not datasets" in result.stderr
