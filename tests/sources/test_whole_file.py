import contextlib
import os
import subprocess
import sys
from pathlib import Path

from optrack.sources import unfinished


def test_a_file_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "a page [1].html"
    with unfinished(file) as path:
        path.write_text("whole")
        path.replace(file)
    with contextlib.suppress(KeyboardInterrupt), unfinished(file) as path:
        path.write_text("hal")
        raise KeyboardInterrupt
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [(file.name, "whole")]


def test_what_a_killed_process_left_is_removed_and_what_another_one_writes_is_not(tmp_path: Path) -> None:
    file = tmp_path / "a page [1].html"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = tmp_path / f".{file.name}.{gone.pid}.unfinished"
    written_elsewhere = tmp_path / f".{file.name}.{os.getppid()}.unfinished"
    others = [tmp_path / f".{name}.{gone.pid}.unfinished" for name in ("a page 1.html", "b.html")]
    for path in (left, written_elsewhere, *others, tmp_path / f".{file.name}.mine.unfinished"):
        path.touch()
    with unfinished(file):
        assert not left.exists()
    assert len(list(tmp_path.iterdir())) == 4
