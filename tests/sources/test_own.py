import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optrack.sources import SourceChangedError, SourceError, is_own, load_own, read_source

NET = "class Net:\n    depth = 3\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, empty; what tests import is forgotten again."""
    monkeypatch.chdir(tmp_path)
    here = [place for place in sys.path if "pytest-" not in place]  # folders of other tests hold my_net.py too
    monkeypatch.setattr(sys, "path", here)
    before = {*sys.modules}
    yield tmp_path
    for name in {*sys.modules} - before:
        del sys.modules[name]


def written(text: str, name: str = "my_net.py") -> str:
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return name


def problem(reference: str, **options: str) -> str:
    with pytest.raises(SourceError) as raised:
        load_own(reference, **options)  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_file_gives_what_it_is_asked_for_with_the_digest_of_its_bytes() -> None:
    own = load_own(f"{written(NET)}:Net")
    assert own.value.depth == 3
    assert own.file == Path("my_net.py")
    assert own.digest == sha256(NET.encode()).hexdigest()


def test_a_class_is_the_same_each_time() -> None:
    reference = f"{written(NET)}:Net"
    assert load_own(reference).value is load_own(reference).value


def test_a_changed_file_gives_what_it_says_now() -> None:
    reference = f"{written(NET)}:Net"
    load_own(reference)
    written(NET.replace("3", "4"))
    assert load_own(reference).value.depth == 4


def test_who_has_begun_with_a_source_keeps_it_when_the_file_is_edited() -> None:
    reference = f"{written(NET)}:Net"
    first = load_own(reference)
    written("broken(")
    assert load_own(reference, digest=first.digest).value is first.value


def test_a_source_that_is_not_the_recorded_one_is_not_run() -> None:
    written("raise SystemExit('ran')")
    with pytest.raises(SourceChangedError, match=r"my_net\.py is not what it was: .* recorded is 000000000000"):
        load_own("my_net.py:Net", digest="0" * 64)


def test_a_copy_can_be_run_in_place_of_the_file_that_was_named(folder: Path) -> None:
    copy = folder / "elsewhere" / "my_net.py"
    copy.parent.mkdir()
    copy.write_text(NET)
    own = load_own("my_net.py:Net", file=copy)
    assert own.value.depth == 3
    assert load_own("some_package.nets:Net", file=copy).value.depth == 3


def test_a_module_is_found_in_the_current_folder() -> None:
    written("", "my_package_a/__init__.py")
    written("from .parts import DEPTH\n\nclass Net:\n    depth = DEPTH\n", "my_package_a/models.py")
    written("DEPTH = 5\n", "my_package_a/parts.py")
    own = load_own("my_package_a.models:Net")
    assert own.value.depth == 5
    assert own.file == Path.cwd() / "my_package_a" / "models.py"
    assert own.value.__module__ == "my_package_a.models"


def test_a_file_may_import_what_lies_beside_it() -> None:
    written("DEPTH = 7\n", "nets/parts_beside.py")
    written("import parts_beside\n\nclass Net:\n    depth = parts_beside.DEPTH\n", "nets/mine.py")
    assert load_own("nets/mine.py:Net").value.depth == 7


def test_no_file_of_the_user_hides_an_installed_package() -> None:
    written("raise RuntimeError\n", "numpy.py")
    written("import numpy\n\nclass Net:\n    depth = numpy.int64(1)\n")
    assert load_own("my_net.py:Net").value.depth == 1


def test_loading_leaves_nothing_beside_the_file(folder: Path) -> None:
    load_own(f"{written(NET)}:Net")
    assert [path.name for path in folder.iterdir()] == ["my_net.py"]


def test_reading_a_source_runs_nothing() -> None:
    file, content = read_source(f"{written('raise SystemExit')}:Net")
    assert (file, content) == (Path("my_net.py"), b"raise SystemExit")


@pytest.mark.parametrize(
    ("text", "reference", "message"),
    [
        (NET, "missing.py:Net", "there is no file missing.py (current folder: "),
        (NET, "no_such_module:Net", "there is no module no_such_module (current folder: "),
        (NET, "json.no_such_part:Net", "there is no module json.no_such_part"),
        (NET, "no_such.part:Net", "there is no module no_such.part"),
        (NET, "sys:Net", "module sys has no source file"),
        (NET, "my_net.py:Nett", "my_net.py has no 'Nett' (did you mean 'Net'?); it defines Net"),
        ("", "my_net.py:Net", "my_net.py has no 'Net'; it defines nothing"),
        ("from json import dumps\n", "my_net.py:Net", "it defines nothing"),
        ("x = 1\ny = = 2\n", "my_net.py:Net", "my_net.py, line 2: invalid syntax"),
        ("\nimport no_such\n", "my_net.py:Net", "my_net.py, line 2: ModuleNotFoundError: No module named 'no_such'"),
        ("raise ValueError('a\\nb')", "my_net.py:Net", "my_net.py, line 1: ValueError: a b"),
        ("import sys\nsys.exit(3)", "my_net.py:Net", "my_net.py, line 2: SystemExit: 3"),
        (NET, "my_net:Nett", "my_net.py has no 'Nett' (did you mean 'Net'?); it defines Net"),
        ("x = = 2\n", "my_net:Net", "my_net.py, line 1: invalid syntax"),
        ("import no_such\n", "my_net:Net", "my_net.py, line 1: ModuleNotFoundError: No module named 'no_such'"),
        (NET, "my_net.py", "own code must be named as file.py:Name or module:Name, but got 'my_net.py'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_place(text: str, reference: str, message: str) -> None:
    written(text)
    assert message in problem(reference)


def test_a_package_that_does_not_import_is_named_with_its_reason() -> None:
    written("import no_such\n", "my_package_b/__init__.py")
    written(NET, "my_package_b/models.py")
    assert "No module named 'no_such'" in problem("my_package_b.models:Net")


def test_an_interruption_while_code_is_loaded_is_no_error_of_it() -> None:
    with pytest.raises(KeyboardInterrupt):
        load_own(f"{written('raise KeyboardInterrupt')}:Net")


@given(st.text())
def test_any_text_is_a_reference_or_not(text: str) -> None:
    if is_own(text):
        place, _, name = text.rpartition(":")
        assert place
        assert name.isidentifier()
    else:
        with pytest.raises(SourceError, match="must be named as"):
            read_source(text)


def test_names_of_one_own_code_are_told_from_other_names() -> None:
    assert is_own("my_net.py:Net")
    assert is_own("my_package.models:Net")
    assert not is_own("lenet")
    assert not is_own("image_folder:my photos")
    assert not is_own("image_folder:./photos")
    assert not is_own("my_net.py")
