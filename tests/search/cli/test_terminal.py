import pytest
from rich.table import Table
from rich.text import Text

from optrack.search.cli.output import console, say
from optrack.search.cli.tables import print_table

HOSTILE = "bee\x1b[2J\r\x07\noptrack: error: fake \u202egnp\x9b1m\udcff"
SHOWN = r"bee\x1b[2J\r\x07\noptrack: error: fake \u202egnp\x9b1m\udcff"


def test_a_line_stays_one_line_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"skipped: {HOSTILE}")
    assert capsys.readouterr().err == f"skipped: {SHOWN}\n"


def test_a_table_shows_control_characters_in_all_its_parts(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["class", "images#"], [[HOSTILE, "3"]], title=HOSTILE)
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").isprintable()
    assert " ".join(printed.split()).count(SHOWN) == 2


def test_what_rich_lays_out_itself_is_shown_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("class")
    table.add_row(Text("bee\x1b[2J"))
    console().print(table)
    assert capsys.readouterr().out.replace("\n", "").isprintable()


def test_the_colours_of_a_terminal_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = console()
    monkeypatch.setattr(shown, "_color_system", 1)  # as of a terminal
    with shown.capture() as captured:
        shown.print(Text("green \x1b[31m", style="green"))
    assert captured.get() == "\x1b[32mgreen \\x1b[31m\x1b[0m\n"


def test_scripts_and_emoji_that_need_joiners_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    say("می‌خواهم 👩‍🔬 Straße 10 µm")
    assert capsys.readouterr().err == "می‌خواهم 👩‍🔬 Straße 10 µm\n"
