import json
from collections.abc import Callable
from pathlib import Path

import pytest

from optrack.search import StorageError
from optrack.search.cli.output import output_file, print_json


def test_json_goes_to_stdout_indented(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"study": "s", "best": None, "values": [1, 0.5, "ü"]}
    print_json(value)
    output = capsys.readouterr()
    assert output.err == ""
    assert json.loads(output.out) == value
    assert output.out.startswith('{\n  "study": "s",\n')


def test_a_page_goes_where_it_is_told_and_never_into_a_folder(tmp_path: Path) -> None:
    assert output_file(None, "study-report.html") == Path("study-report.html")
    assert output_file(tmp_path / "page.html", "study-report.html") == tmp_path / "page.html"
    with pytest.raises(StorageError, match="is a folder; it must be a file"):
        output_file(tmp_path, "study-report.html")


def test_a_page_is_not_computed_for_a_folder_that_may_only_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only_read: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    only_read(Path())
    with pytest.raises(StorageError, match=rf"cannot be written: the folder {tmp_path} may only be read; name a file"):
        output_file(None, "study-report.html")
