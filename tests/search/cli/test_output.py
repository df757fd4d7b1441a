import json
from pathlib import Path

import pytest

from optrack.search import StorageError
from optrack.search.cli.output import PIPE_WIDTH, output_file, print_json, print_table


def test_json_goes_to_stdout_indented(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"study": "s", "best": None, "values": [1, 0.5, "ü"]}
    print_json(value)
    output = capsys.readouterr()
    assert output.err == ""
    assert json.loads(output.out) == value
    assert output.out.startswith('{\n  "study": "s",\n')


def test_a_table_in_a_pipe_is_plain_and_keeps_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "count#"], [["[bold]cats[/bold]", "7"], ["dogs", "1234"]], title="animals")
    output = capsys.readouterr()
    assert output.err == ""
    assert "\x1b" not in output.out
    title, _, header, _, first, second, *_ = output.out.splitlines()
    assert title.split() == ["animals"]
    assert header.split() == ["name", "count"]
    assert first.split() == ["[bold]cats[/bold]", "7"]
    assert second.split() == ["dogs", "1234"]
    assert first.rstrip().endswith("7")
    assert len(first.rstrip()) == len(second.rstrip())  # numbers stand to the right


def test_a_long_cell_is_folded_and_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["configuration"], [["x" * 500]])
    output = capsys.readouterr().out
    assert output.count("x") == 500
    assert max(map(len, output.splitlines())) <= PIPE_WIDTH


def test_a_page_goes_where_it_is_told_and_never_into_a_folder(tmp_path: Path) -> None:
    assert output_file(None, "study-report.html") == Path("study-report.html")
    assert output_file(tmp_path / "page.html", "study-report.html") == tmp_path / "page.html"
    with pytest.raises(StorageError, match="is a folder; it must be a file"):
        output_file(tmp_path, "study-report.html")
