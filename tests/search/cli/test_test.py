# pyright: reportPrivateUsage=false
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from optrack.datasets.folders.test_list import write_test_list
from optrack.search.cli.options import DEFAULT_CACHE_DIR, DEFAULT_DATA_DIR, DEFAULT_STORAGE, DEFAULT_TRACKING_URI
from optrack.search.cli.test import _next_commands
from optrack.search.stores.places import Places

PLACES = Places(
    storage=DEFAULT_STORAGE,
    tracking_uri=DEFAULT_TRACKING_URI,
    data_dir=DEFAULT_DATA_DIR,
    cache_dir=DEFAULT_CACHE_DIR,
)


def test_after_a_test_the_winner_goes_to_work() -> None:
    commands = [command for command, _ in _next_commands("gtsrb", "gtsrb", PLACES)]
    assert commands == ["optrack report gtsrb", "optrack predict gtsrb PATH...", "optrack serve gtsrb"]


def test_the_next_commands_say_where_things_lie_as_far_as_each_asks_for_it() -> None:
    places = replace(PLACES, storage="sqlite:///a.db", tracking_uri="sqlite:///b.db", data_dir=Path("my data"))
    storage, tracking = ["--storage", "sqlite:///a.db"], ["--tracking-uri", "sqlite:///b.db"]
    assert [shlex.split(command) for command, _ in _next_commands("my study.py", "gtsrb", places)] == [
        ["optrack", "report", "my study.py", *storage, *tracking],
        ["optrack", "predict", "my study.py", "PATH...", *tracking],
        ["optrack", "serve", "my study.py", *storage, *tracking],
    ]


def test_listed_images_are_paths_that_can_be_typed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my photos").mkdir()
    write_test_list(Path("my photos"), ["train/ants/1.png", "val/bees/2.png"])
    _, (command, _), _ = _next_commands("ants.py", "image_folder:my photos", PLACES)
    paths = ["my photos/train/ants/1.png", "my photos/val/bees/2.png"]
    assert shlex.split(command) == ["optrack", "predict", "ants.py", *paths]
