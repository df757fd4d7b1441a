import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

from optrack.search.champions import Prediction
from optrack.search.cli.predict import predict

LABELS = ("=HYPERLINK(1)", "\x1b[2J\u202ebee\n", "@ant")


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a champion whose classes have hostile names."""

    def answers(_: object, files: Sequence[Path]) -> list[Prediction]:
        ranking = tuple(zip(LABELS, (0.5, 0.3, 0.2), strict=True))
        return [Prediction(file=file, ranking=ranking) for file in files]

    def champion(*_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(family="net", study="mine")

    monkeypatch.setattr("optrack.search.champions.load_champion", champion)
    monkeypatch.setattr("optrack.search.champions.predict", answers)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_no_cell_of_a_csv_file_is_a_formula_and_none_steers_a_terminal(
    in_folder: Path, capsys: pytest.CaptureFixture[str], typed: Callable[..., typer.Context]
) -> None:
    names = [
        "=1+1.jpg",
        "-x.jpg",
        "+.jpg",
        "@SUM(1).jpg",
        "a\x1b]0;title\x07\n.jpg",
        os.fsdecode(b"\xff.jpg"),
        "plain.jpg",
    ]
    for name in names:
        (in_folder / name).touch()
    context = typed("predict", "mine", "x.jpg")
    predict(context, "mine", names, as_csv=True)
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").isprintable()
    _, *rows = csv.reader(io.StringIO(printed))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert [row[0] for row in rows[:4]] == [f"./{name}" for name in names[:4]]  # the same files
    assert rows[-1][:4] == ["plain.jpg", "'=HYPERLINK(1)", "0.5000", r"\x1b[2J\u202ebee\n"]
    predict(context, "mine", names, as_json=True)
    assert [answer["file"] for answer in json.loads(capsys.readouterr().out)] == names  # the names themselves
    predict(context, "mine", names)
    assert capsys.readouterr().out.replace("\n", "").isprintable()


def test_a_list_of_paths_may_hold_any_bytes(
    in_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: Callable[..., typer.Context],
) -> None:
    listed = [b"\xff\xfe.jpg", "ü\u2028.jpg".encode(), b" .jpg"]
    for name in listed:
        (in_folder / os.fsdecode(name)).touch()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\r\n".join([*listed, b""]))))
    predict(typed("predict", "mine", "-"), "mine", ["-"], as_json=True)
    assert [os.fsencode(answer["file"]) for answer in json.loads(capsys.readouterr().out)] == listed
