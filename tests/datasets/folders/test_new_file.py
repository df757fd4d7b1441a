import errno
from pathlib import Path

import pytest

from optrack.datasets import DataError
from optrack.datasets.folders.new_file import write_new


def test_a_text_is_written_as_it_is_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    write_new(tmp_path / "a.txt", "ä\nname\udcff\r\n")
    assert (tmp_path / "a.txt").read_bytes() == "ä\nname".encode() + b"\xff\r\n"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("there", ["a file", "a folder", "a broken link"])
def test_nothing_is_written_over(tmp_path: Path, there: str) -> None:
    file = tmp_path / "a.txt"
    if there == "a file":
        file.write_text("mine")
    elif there == "a folder":
        file.mkdir()
    else:
        file.symlink_to("nowhere")
    with pytest.raises(DataError, match=r"a.txt' is there already, and nothing is written over it"):
        write_new(file, "other")
    assert [found.name for found in tmp_path.iterdir()] == ["a.txt"]
    assert not file.is_file() or file.read_text() == "mine"


def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    write_new(tmp_path / "a.txt", "first")
    with pytest.raises(DataError, match="is there already"):
        write_new(tmp_path / "a.txt", "second")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.txt", "first")]


def test_a_folder_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.txt' cannot be written: No such file or directory") as caught:
        write_new(tmp_path / "gone" / "a.txt", "text")
    assert "\n" not in str(caught.value)
