"""What holds for every command: it has help, and does not wait for what it does not need."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from optrack.search.cli.app import app
from optrack.search.coordinator import PRUNERS, SAMPLERS


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


COMMANDS = dict(commands(get_command(app)))
LEAVES = {path: command for path, command in COMMANDS.items() if not hasattr(command, "commands")}


def test_the_commands_are_those_that_are_promised() -> None:
    promised = {"new", "run", "status", "best", "importance", "retrain", "test", "report", "export", "predict"}
    promised |= {"serve", "studies", "sync", "ui"}
    promised |= {f"dataset {name}" for name in ("list", "prepare", "stats", "preview")}
    promised |= {f"architecture {name}" for name in ("list", "show")}
    assert {" ".join(path) for path in LEAVES} == promised


@pytest.mark.parametrize("path", [(), *COMMANDS], ids=" ".join)
def test_help_names_the_command_and_exits_with_0(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from optrack.search.cli import main

    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setattr(sys, "argv", ["optrack", *path, "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    output = capsys.readouterr()
    assert (ended.value.code, output.err) == (0, "")
    assert " ".join(["Usage: optrack", *path]) in output.out


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_command_says_in_one_line_what_it_is_for(path: tuple[str, ...]) -> None:
    first = str(COMMANDS[path].help).splitlines()[0]
    assert first.endswith(".")
    assert len(first) <= 100


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_option_says_what_it_is_for(path: tuple[str, ...]) -> None:
    assert [parameter.name for parameter in LEAVES[path].params if not parameter.help] == []


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_options_have_long_names(path: tuple[str, ...]) -> None:
    options = [parameter for parameter in LEAVES[path].params if parameter.param_type_name == "option"]
    assert [option.name for option in options if not option.opts[0].startswith("--")] == []


@pytest.fixture
def stored(tmp_path: Path) -> str:
    """A storage with one finished trial of the shipped study."""
    import optuna

    from optrack.search.stores.optuna_store import open_family, open_storage
    from optrack.search.stores.records import STUDY_RECORD
    from optrack.search.study.lookup import load_study

    url = f"sqlite:///{tmp_path}/optuna.db"
    study = load_study("digits")
    storage = open_storage(url)
    family = open_family(storage, study, study.families[0])
    family.set_user_attr(STUDY_RECORD, study.to_json())
    family.add_trial(optuna.trial.create_trial(value=0.5, intermediate_values={1: 0.5}))
    storage.engine.dispose()
    return url


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        ("--help", {"torch", "mlflow", "optuna", "sklearn", "plotly", "numpy", "pydantic"}),
        ("run --help", {"torch", "mlflow", "optuna", "sklearn", "plotly"}),
        ("studies --json", {"torch", "mlflow", "optuna", "sklearn", "plotly"}),
        ("best digits --json --storage STORED", {"torch", "mlflow", "sklearn", "plotly"}),
        ("status digits --json --storage STORED", {"torch", "mlflow", "sklearn", "plotly"}),
        ("dataset list --json", {"torch", "mlflow", "optuna", "sklearn", "plotly"}),
        ("run digitz", {"torch", "mlflow", "optuna", "sklearn", "plotly"}),
        ("new mine.py --images digitz", {"torch", "mlflow", "optuna", "sklearn", "plotly"}),
    ],
)
def test_a_command_does_not_import_what_it_does_not_need(
    command: str, heavy: set[str], stored: str, tmp_path: Path
) -> None:
    arguments = command.replace("STORED", stored).split()
    code = f"""
import json, sys
from optrack.search.cli import main
sys.argv = ["optrack", *{arguments}]
try:
    main()
finally:
    json.dump(sorted({heavy} & {{*sys.modules}}), open("imported.json", "w"))
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == (2 if "digitz" in command else 0), result.stderr
    assert json.loads((tmp_path / "imported.json").read_text()) == []


def test_the_version_says_what_a_bug_report_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from optrack.search.cli import main

    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setattr(sys, "argv", ["optrack", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    output = capsys.readouterr()
    assert (ended.value.code, output.err) == (0, "")
    assert re.fullmatch(r"optrack \S+ \(Python \S+, torch \S+, torchvision \S+, optuna \S+, mlflow \S+\)\n", output.out)


@pytest.mark.parametrize(("option", "known"), [("sampler", SAMPLERS), ("pruner", PRUNERS)])
def test_the_help_of_a_strategy_names_all_there_are(option: str, known: dict[str, Any]) -> None:
    (help_text,) = (parameter.help for parameter in LEAVES["run",].params if parameter.name == option)
    assert set(re.findall(r"\w+", help_text)) - {"or"} == set(known)
