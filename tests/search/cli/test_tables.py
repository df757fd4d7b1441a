import re
from collections.abc import Callable

import pytest
from rich.console import Console

from optrack.search.cli import tables
from optrack.search.cli.output import PIPE_WIDTH
from optrack.search.cli.tables import print_table

STATUS = (
    ["family", "total#", "finished#", "pruned#", "failed#", "epochs#", "best val_accuracy#", "in trial#"],
    [["logistic", "8", "3", "5", "0", "18720", "0.9826", "4"], ["lenet", "8", "3", "5", "0", "97", "0.9896", "12"]],
)
BEST = (
    ["family", "val_accuracy#", "trial#", "configuration"],
    [["lenet", "0.9896", "0", "lr=0.005 batch_size=64 weight_decay=0.00554 optimizer=adam batch_norm=True"]],
)
IMAGES = (
    ["image", "label", "confidence#", "next", "confidence#"],
    [[f"photos/a folder/{'long' * number}/{number}.jpg", "bees", "0.7953", "ants", "0.2047"] for number in range(9)],
)
TABLES = {"status": STATUS, "best": BEST, "images": IMAGES}


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


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str, int], str]:
    """What a table looks like on a terminal of some width."""

    def call(name: str, width: int) -> str:
        monkeypatch.setattr(tables, "console", lambda: Console(width=width, highlight=False))
        print_table(*TABLES[name], title="digits")
        return capsys.readouterr().out

    return call


@pytest.mark.parametrize("width", [30, 40, 60, 70, 80, 100, 120, 200])
@pytest.mark.parametrize("name", TABLES)
def test_no_number_and_no_word_of_a_title_is_broken(name: str, width: int, printed: Callable[[str, int], str]) -> None:
    columns, rows = TABLES[name]
    output = printed(name, width)
    assert max(len(line.rstrip()) for line in output.splitlines()) <= width
    words = re.split(r"[\s─]+", output)
    numeric = [place for place, column in enumerate(columns) if column.endswith("#")]
    for word in (word for column in columns for word in column.removesuffix("#").split()):
        assert word in words
    for row in rows:
        assert {row[place] for place in numeric} <= set(words)


@pytest.mark.parametrize(
    ("width", "first_line"),
    [
        (120, "family total finished pruned failed epochs best val_accuracy in trial"),
        (70, "family total finished pruned failed epochs val_accuracy in trial"),  # "best" stands above
        (40, "family logistic lenet"),
        (28, "family logistic"),
    ],
)
def test_where_the_columns_do_not_fit_they_become_rows(
    width: int, first_line: str, printed: Callable[[str, int], str]
) -> None:
    lines = [" ".join(line.split()) for line in printed("status", width).splitlines()]
    assert next(line for line in lines if line.startswith("family")) == first_line


@pytest.mark.parametrize("name", TABLES)
def test_no_text_is_lost(name: str, printed: Callable[[str, int], str]) -> None:
    for width in (20, 45, 80):
        output = re.sub(r"\s", "", printed(name, width))
        for row in TABLES[name][1]:
            for word in row[-1].split():
                assert word in output
