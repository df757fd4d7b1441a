import subprocess
import sys

import optrack.datasets


def test_importing_the_room_imports_nothing_heavy() -> None:
    heavy = {"torch", "torchvision", "sklearn", "numpy", "PIL"}
    code = f"import sys, optrack.datasets; print(sorted({heavy} & {{*sys.modules}}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_second_copy_under_another_name_is_refused() -> None:
    code = f"import sys; sys.path.insert(0, {str(next(iter(optrack.datasets.__path__)))!r} + '/..'); import datasets"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "import optrack.datasets, not datasets" in result.stderr
