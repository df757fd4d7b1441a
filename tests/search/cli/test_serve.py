# pyright: reportPrivateUsage=false
import http.client
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

from optrack.search import NothingStoredError
from optrack.search.champions.champion import Champion
from optrack.search.champions.registry import load_champion, registered, set_best, update_figures
from optrack.search.cli.predict import predict
from optrack.search.cli.serve import _searched, _served, serve
from optrack.search.errors import OwnSourceError, ServerError
from optrack.search.servers.drop_page import Served, answers
from optrack.search.servers.listening import listener
from optrack.search.stores.optuna_store import open_storage, stored_families
from optrack.search.stores.places import Places
from optrack.search.stores.records import STUDY_RECORD, Records
from optrack.search.study.study import Family, Reference, Study

# MLflow 3.17 uses what SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

SCRIPT = Path(sys.executable).with_name("optrack")
REFERENCE = Reference(validation=0.9, test=0.8, source="report 7")


def served(places: Places, only: Sequence[str] | None = None) -> list[Served]:
    only = None if only is None else list(only)
    return _served("tiny", only, _searched("tiny", places.storage), places.tracking_uri)


def refer(places: Places, name: str) -> None:
    """Say in the storage that something was reported for a family."""

    def told(family: Family) -> Family:
        return replace(family, reference=REFERENCE) if family.name == name else family

    storage = open_storage(places.storage)
    for stored in stored_families(storage, "tiny"):
        study: Study = replace(stored.study, families=[told(family) for family in stored.study.families])
        Records.of(storage, f"tiny/{stored.name}").write({STUDY_RECORD: study.to_json()})
    storage.engine.dispose()


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A large photograph."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    path = tmp_path / "photograph.jpg"
    Image.fromarray(noise).resize((1200, 900), Image.Resampling.BICUBIC).save(path)
    return path


def test_the_page_says_of_a_file_what_the_command_predict_says(
    retrained: Places, photograph: Path, capsys: pytest.CaptureFixture[str], typed: Callable[..., typer.Context]
) -> None:
    found = answers(served(retrained), photograph.read_bytes())
    assert found.keys() == {"linear", "deep"}
    for family, shown in found.items():
        capsys.readouterr()
        predict(
            typed("predict", "tiny", "x.png"),
            "tiny",
            [str(photograph)],
            family,
            tracking_uri=retrained.tracking_uri,
            as_json=True,
        )
        [said] = json.loads(capsys.readouterr().out)
        ranking = [(said["label"], said["confidence"])]
        ranking += [(entry["label"], entry["confidence"]) for entry in said["next"]]
        assert list(shown[:3]) == ranking


def test_a_champion_stands_beside_its_test_and_what_was_reported_the_winner_first(retrained: Places) -> None:
    uri = retrained.tracking_uri
    champions = registered(uri, "tiny")
    update_figures(uri, "tiny", "deep", champions["deep"].run_id, {"test/accuracy": 0.75})
    update_figures(uri, "tiny", "linear", champions["linear"].run_id, {"test/accuracy": 0.5, "test/loss": 2.0})
    set_best(retrained.tracking_uri, "tiny", "linear")
    refer(retrained, "deep")
    first, second = served(retrained)
    assert (first.family, first.best, first.accuracy, first.reported) == ("linear", True, ("test", 0.5), None)
    assert (second.family, second.best, second.accuracy) == ("deep", False, ("test", 0.75))
    assert second.reported == ("test", 0.8)


def test_an_untested_champion_stands_beside_what_its_configuration_reached_in_the_search(retrained: Places) -> None:
    refer(retrained, "deep")
    [deep] = served(retrained, ["deep"])
    [stored] = [each for each in _stored(retrained) if each.name == "deep"]
    assert stored.best is not None
    assert deep.accuracy == ("validation", stored.best.value)
    assert deep.reported == ("validation", 0.9)


def _stored(places: Places) -> Any:
    storage = open_storage(places.storage)
    found = stored_families(storage, "tiny")
    storage.engine.dispose()
    return found


def test_a_storage_that_is_not_there_or_knows_another_study_is_no_hindrance(retrained: Places, tmp_path: Path) -> None:
    assert _searched("tiny", f"sqlite:///{tmp_path}/nothing.db") == ()
    assert _searched("other", retrained.storage) == ()
    assert not (tmp_path / "nothing.db").exists()
    assert [each.reference for each in _served("tiny", ["deep"], (), retrained.tracking_uri)] == [None]


def test_without_a_champion_the_message_is_that_of_predict(searched: Places, retrained: Places, tmp_path: Path) -> None:
    places = [searched.tracking_uri, f"sqlite:///{tmp_path}/nothing.db"]
    for uri, only in [(places[0], None), (places[1], None), (retrained.tracking_uri, "dep")]:
        with pytest.raises(NothingStoredError) as expected:
            load_champion("tiny", only, tracking_uri=uri)
        with pytest.raises(NothingStoredError) as said:
            _served("tiny", None if only is None else [only], (), uri)
        assert str(said.value) == str(expected.value)


def test_each_family_s_own_network_is_built_from_the_code_that_was_named_for_it(
    retrained: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = {"linear": "first.py", "deep": "second.py"}

    def load(study: str, family: str, *, tracking_uri: str, run_source: str | None) -> Champion:
        if run_source != recorded[family]:
            raise OwnSourceError(f"{family} is built from {recorded[family]}, not {run_source}")
        return load_champion(study, family, tracking_uri=tracking_uri)

    monkeypatch.setattr("optrack.search.champions.load_champion", load)

    def families(*run_source: str) -> set[str]:
        return {each.family for each in _served("tiny", None, (), retrained.tracking_uri, run_source)}

    assert families("first.py", "second.py") == {"linear", "deep"}
    for named, said in (((), "None"), (("third.py",), r"third\.py")):
        with pytest.raises(OwnSourceError, match=f"not {said}"):
            families(*named)


def test_a_port_in_use_is_said_before_anything_is_loaded(typed: Callable[..., typer.Context]) -> None:
    with listener(0, option="--port") as opened:
        port = opened.getsockname()[1]
        with pytest.raises(ServerError, match=rf"port {port} is not available .* --port"):
            serve(typed("serve", "tiny"), "tiny", port=port)


@pytest.mark.slow
def test_the_command_says_one_line_answers_and_ends_with_ctrl_c(retrained: Places, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    content = io.BytesIO()
    Image.new("L", (8, 8)).save(content, "PNG")
    process = subprocess.Popen(
        [SCRIPT, "serve", "tiny", "--port", "0", "--tracking-uri", retrained.tracking_uri],
        cwd=work,
        env={"HOME": str(work), "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line.endswith("  (Ctrl-C ends it)\n")
            address = line.split()[0].removeprefix("http://")
            connection = http.client.HTTPConnection(address, timeout=60)
            connection.request("POST", "/predict", content.getvalue())
            answer = json.loads(connection.getresponse().read())
            process.send_signal(signal.SIGINT)  # with the connection open, as browsers keep them
            output = process.communicate(timeout=60)
            connection.close()
        finally:
            process.kill()
    assert {each["family"] for each in answer["families"]} == {"linear", "deep"}
    assert (process.returncode, *output) == (0, "", "")
    assert list(work.iterdir()) == []
