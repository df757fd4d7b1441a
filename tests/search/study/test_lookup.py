import sys
from pathlib import Path

import pytest

from optrack.search import OptrackError
from optrack.search.study.lookup import load_study, shipped_studies

GOOD = """
from optrack.search import Data, Family, Study

STUDY = Study("mine", data=Data("digits"), families=[Family("f", architecture="mlp")])
"""


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def written(text: str | bytes, name: str = "mine.py") -> str:
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


def problem(reference: str) -> str:
    with pytest.raises(OptrackError) as raised:
        load_study(reference)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_shipped_study_goes_by_its_name() -> None:
    found = load_study("digits")
    assert found.name == "digits"
    assert found == load_study(str(shipped_studies()["digits"]))


def test_another_study_goes_by_its_path() -> None:
    found = load_study(written(GOOD))
    assert found.name == "mine"
    assert load_study(str(Path("mine.py").absolute())) == found


def test_a_shipped_name_wins_over_a_folder_of_that_name() -> None:
    Path("digits").mkdir()
    assert load_study("digits").name == "digits"


def test_reading_a_study_leaves_nothing_beside_it() -> None:
    written("X = 1\n", "neighbour.py")
    written("import sys\nsys.path.insert(0, '.')\nimport neighbour\nsys.path.remove('.')\n" + GOOD)
    load_study("mine.py")
    assert sorted(path.name for path in Path().iterdir()) == ["mine.py", "neighbour.py"]
    assert not sys.dont_write_bytecode


def test_a_study_that_fails_leaves_nothing_beside_it_either() -> None:
    problem(written("1 / 0"))
    assert [path.name for path in Path().iterdir()] == ["mine.py"]
    assert not sys.dont_write_bytecode


def test_a_study_is_read_anew_each_time() -> None:
    first = load_study(written(GOOD))
    second = load_study(written(GOOD.replace('"mlp"', '"lenet"')))
    assert first.families[0].architecture == "mlp"
    assert second.families[0].architecture == "lenet"


def test_a_study_may_define_data_classes() -> None:
    header = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    assert load_study(written(f"{header}@dataclass\nclass Widths:\n    first: int = 1\n{GOOD}")).name == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = = 2\n", "study file mine.py, line 2: invalid syntax"),
        ("def f(:\n", "study file mine.py, line 1: invalid syntax"),
        ("if True:\nx = 1\n", "study file mine.py, line 2: expected an indented block after 'if' statement on line 1"),
        (b"x = '\xff'\n", "study file mine.py, line 1: (unicode error)"),
        (b"x = '\0'\n", "study file mine.py: source code string cannot contain null bytes"),
        ("", "study file mine.py has no STUDY; it must define STUDY = Study(...)"),
        ("STUDY = None", "study file mine.py has no STUDY"),
        ("STUDY = {'name': 's'}", "study file mine.py has a STUDY that is a dict; it must define STUDY = Study(...)"),
        ("x = 1\n\n1 / 0\n", "study file mine.py, line 3: ZeroDivisionError: division by zero"),
        ("def f():\n    raise KeyError('a\\nb')\n\nf()\n", "study file mine.py, line 2: KeyError: 'a\\nb'"),
        ("raise ValueError('first\\nsecond')", "study file mine.py, line 1: ValueError: first second"),
        ("import sys\nsys.exit('no\\nway')\n", "study file mine.py, line 2: SystemExit: no way"),
        ("import json\njson.loads('{')\n", "study file mine.py, line 2: JSONDecodeError: "),
        ("import no_such_module", "study file mine.py, line 1: ModuleNotFoundError: No module named 'no_such_module'"),
        (
            GOOD.replace("mine", "my study"),
            "study file mine.py, line 4: Study: the name must consist of at most 64 letters",
        ),
        (GOOD.replace("Data(", "Dta("), "study file mine.py, line 4: NameError: name 'Dta' is not defined"),
        (
            GOOD.replace('"f"', '"f", option={}'),
            "study file mine.py, line 4: Family: unknown argument 'option' (did you mean 'options'?)",
        ),
    ],
)
def test_what_is_wrong_in_a_study_file_is_said_in_one_line_with_its_place(text: str | bytes, message: str) -> None:
    assert message in problem(written(text))


def test_a_syntax_error_in_a_file_that_the_study_imports_names_that_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path.cwd()))
    written("x = 1\n\nx = = 2\n", "broken_neighbour.py")
    message = problem(written("import broken_neighbour\n"))
    assert message.startswith("study file mine.py, in ")
    assert message.endswith("broken_neighbour.py, line 3: invalid syntax")


def test_an_error_names_its_line_by_absolute_path_too() -> None:
    assert ", line 2: ZeroDivisionError" in problem(str(Path(written("\n1 / 0")).absolute()))


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("digts", "unknown study 'digts' (did you mean 'digits'?); valid names: "),
        ("nothing/like/it", "unknown study 'nothing/like/it'; valid names: "),
        ("missing.py", "there is no study file missing.py"),
        ("folder", "folder is not a file"),
        ("folder.py", "folder.py is not a file"),
        ("", ". is not a file"),
        ("notes.txt", "study file notes.txt is not a Python file"),
        ("x" * 5000, "unknown study 'xxx"),
        ("x" * 5000 + ".py", "there is no study file xxx"),
        ("a\0b", "unknown study 'a\\x00b'"),
    ],
)
def test_a_reference_to_no_study_is_refused_with_what_it_is(reference: str, message: str) -> None:
    Path("folder").mkdir()
    Path("folder.py").mkdir()
    written("text", "notes.txt")
    assert message in problem(reference)


def test_an_interruption_while_a_study_is_read_is_no_error_of_the_study() -> None:
    with pytest.raises(KeyboardInterrupt):
        load_study(written("raise KeyboardInterrupt"))
