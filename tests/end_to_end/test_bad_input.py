"""What people get wrong: one line that names the culprit, exit code 2, and nothing is written."""

import socket
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import optuna
import pytest
from PIL import Image

from optrack.search.cli import main

Run = Callable[..., subprocess.CompletedProcess[str]]

assert main  # imported here, so that the first case is not the slow one

LINEAR = 'Family("linear", architecture="logistic", space={"lr": Float(1e-3, 1e-1, log=True)})'


def study(family: str = LINEAR, *, data: str = 'Data("digits")', more: str = "") -> str:
    return f'from optrack.search import *\nSTUDY = Study("mine", data={data}, families=[{family}]{more})\n'


def logistic(rest: str) -> str:
    return study(f'Family("linear", architecture="logistic", {rest})')


# A file of the study, then what is wrong with it.
STUDY_FILES = [
    pytest.param("STUDY = Study(\n", ["mine.py, line 1", "never closed"], id="a syntax error"),
    pytest.param("X = 1\n", ["mine.py has no STUDY", "STUDY = Study(...)"], id="no STUDY"),
    pytest.param("STUDY = {}\n", ["mine.py", "dict", "STUDY = Study(...)"], id="a STUDY of another type"),
    pytest.param("\nraise RuntimeError('a\\nb')\n", ["mine.py, line 2", "RuntimeError: a b"], id="a file that raises"),
    pytest.param("import sys\nsys.exit(3)\n", ["mine.py, line 2", "SystemExit: 3"], id="a file that exits"),
    pytest.param("import torhc\n", ["mine.py, line 1", "No module named 'torhc'"], id="a missing module"),
    pytest.param(
        study(more=", bugdet=1"), ["mine.py, line 2", "'bugdet' (did you mean 'budget'?)"], id="an unknown field"
    ),
    pytest.param(study(more=", seed=-1"), ["mine.py, line 2", "seed", "-1"], id="a negative seed"),
    pytest.param(study(more=', metric="accuracy"'), ["metric", "val_accuracy", "'accuracy'"], id="an unknown metric"),
    pytest.param(study(more=', sampler=Sampler("tpee")'), ["'tpee'", "did you mean 'tpe'"], id="an unknown sampler"),
    pytest.param(study(f"{LINEAR}, {LINEAR}"), ["'linear' is used twice"], id="two families of one name"),
    pytest.param(study(data='Data("digitz")'), ["'digitz'", "'digits'"], id="an unknown data set"),
    pytest.param(study(data='Data("fashion_mnist")'), ["'data'", "FashionMNIST/raw", "--download"], id="missing data"),
    pytest.param(study(data='Data("digits", validation=1.5)'), ["validation", "1.5"], id="a validation above 1"),
    pytest.param(study(data='Data("digits", image_size=0)'), ["image_size", "0"], id="an image size of 0"),
    pytest.param(study('Family("f", architecture="lenett")'), ["'lenett'", "'lenet'"], id="an unknown architecture"),
    pytest.param(study('Family("f", architecture="lenet")'), ["'f'", "16 x 16", "8 x 8"], id="too small an image"),
    pytest.param(study('Family("a b", architecture="mlp")'), ["Family", "'a b'"], id="a blank in a name"),
    pytest.param(logistic('space={"lrr": Float(0, 1)}'), ["'lrr'", "did you mean 'lr'"], id="an unknown key"),
    pytest.param(logistic('space={"depth": Int(1, 2)}'), ["'depth'", "valid names"], id="another architecture's key"),
    pytest.param(logistic('space={"lr": Float(1, 0.1)}'), ["low", "high", "1.0 and 0.1"], id="low above high"),
    pytest.param(logistic('space={"lr": Float(0, 1, log=True)}'), ["above 0", "0.0"], id="the logarithm of 0"),
    pytest.param(logistic('space={"dropout": Float(0, 1)}'), ["dropout", "less than 1", "1.0"], id="out of its range"),
    pytest.param(
        logistic('space={"lr": Float(0.1, 1)}, start=[{"lr": 2.0}]'),
        ["start", "lr", "0.1 to 1.0", "2.0"],
        id="a start outside of the space",
    ),
    pytest.param(
        logistic('space={"lr": Float(0.1, 1)}, start=[{"l": 0.5}]'), ["start", "l is not in"], id="an unknown start"
    ),
    pytest.param(
        logistic('space={"lr": Float(0.1, 1)}, options={"lr": 0.5}'),
        ["lr", "both options and space"],
        id="an option that is searched too",
    ),
    pytest.param(logistic('options={"optimizer": "adm"}'), ["optimizer", "'adam'", "'adm'"], id="an unknown optimizer"),
    pytest.param(logistic('options={"batch_size": 1.5}'), ["batch_size", "1.5"], id="half an image"),
    pytest.param(
        logistic('options={"batch_size": (32, 64)}'),
        ["line 2", "options.batch_size must be one value", "Categorical(32, 64)"],
        id="two numbers for one",
    ),
    pytest.param(
        logistic('space={"batch_size": (32, 64)}'),
        ["line 2", "space.batch_size must be Float, Int or Categorical", "Categorical(32, 64)"],
        id="two numbers for a range",
    ),
    pytest.param(
        logistic('space={"batch_size": Int(1, 2**53 + 1)}'),
        ["line 2", "high", "9007199254740993"],
        id="too large a number",
    ),
    pytest.param(
        study('Family("f", architecture="mlp", options={"batch_size": 1, "batch_norm": True})'),
        ["'f'", "batch_size must be at least 2", "got 1"],
        id="batch norm of one image",
    ),
    pytest.param(study(data='Data("image_folder:nowhere")'), ["'nowhere'"], id="a missing image folder"),
    pytest.param(study(data='Data("image_folder")'), ["image_folder:PATH"], id="an image folder without its path"),
    pytest.param(study(data='Data("image_folder:mine.py")'), ["'mine.py'", "not a folder"], id="a file of images"),
    pytest.param(study(data='Data("image_folder:empty")'), ["'empty'"], id="an empty image folder"),
    pytest.param(study(data='Data("image_folder:one")'), ["'one'", "two class", "'ants'"], id="a single class"),
    pytest.param(study(data='Data("image_folder:gap")'), ["'gap'", "'cats'"], id="a class without images"),
    pytest.param(
        study(data='Data("image_folder:broken")'), ["'broken'", "ants/", "cannot be read"], id="a broken image"
    ),
    pytest.param(study(data='Data("image_folder:few")'), ["'ants'", "1 image"], id="too few images of a class"),
]

RUN_OPTIONS = [
    pytest.param("--trials 0", ["--trials", "1"], id="no trials"),
    pytest.param("--trials -1", ["--trials", "1"], id="negative trials"),
    pytest.param("--trials x", ["--trials", "integer"], id="trials in letters"),
    pytest.param("--epochs 0", ["--epochs", "1"], id="no epochs"),
    pytest.param("--patience 0", ["--patience", "1"], id="no patience"),
    pytest.param("--total-epochs 0", ["--total-epochs", "1"], id="no epochs in all"),
    pytest.param(
        "--epochs 3 --total-epochs 2", ["total_epochs", "at least the 3 epochs", "got 2"], id="less than one trial"
    ),
    pytest.param("--timeout 0", ["--timeout"], id="no time"),
    pytest.param("--timeout nan", ["--timeout"], id="a time that is no number"),
    pytest.param("--workers 0", ["--workers", "1"], id="no workers"),
    pytest.param("--threads 0", ["--threads", "1"], id="no threads"),
    pytest.param("--seed -1", ["--seed", "0"], id="a negative seed"),
    pytest.param("--family lineer", ["'lineer'", "did you mean 'linear'"], id="an unknown family"),
    pytest.param("--sampler tpee", ["'tpee'", "did you mean 'tpe'", "cmaes"], id="an unknown sampler"),
    pytest.param("--sampler grid", ["grid", "lr", "step"], id="a grid of a continuous space"),
    pytest.param("--sampler-option n_startup=1", ["'n_startup'", "n_startup_trials"], id="an unknown sampler option"),
    pytest.param("--sampler-option n_startup_trials=-1", ["n_startup_trials", "0", "-1"], id="a value below its range"),
    pytest.param(
        "--sampler-option n_startup_trials=x", ["n_startup_trials", "integer", "'x'"], id="a value in letters"
    ),
    pytest.param("--sampler-option n_startup_trials=NaN", ["n_startup_trials", "'NaN'"], id="a value that is NaN"),
    pytest.param("--sampler-option n_startup_trials=1e999", ["n_startup_trials", "'1e999'"], id="an endless value"),
    pytest.param("--sampler-option n_startup_trials=[1]", ["n_startup_trials", "'[1]'"], id="a value that is a list"),
    pytest.param(
        "--sampler-option n_startup_trials", ["KEY=VALUE", "'n_startup_trials'"], id="an option without value"
    ),
    pytest.param("--sampler-option =3", ["KEY=VALUE", "'=3'"], id="an option without name"),
    pytest.param("--pruner asa", ["'asa'", "did you mean 'asha'"], id="an unknown pruner"),
    pytest.param(
        "--pruner-option reduction_factr=3", ["did you mean 'reduction_factor'"], id="an unknown pruner option"
    ),
    pytest.param("--pruner-option reduction_factor=1", ["reduction_factor", "2", "1"], id="a factor of 1"),
    pytest.param("--pruner wilcoxon --epochs 2", ["wilcoxon", "2 epochs", "asha"], id="a pruner that cannot act"),
    pytest.param("--launcher ray", ["'ray'", "processes", "inline"], id="an unknown launcher"),
    pytest.param("--device gpu", ["'gpu'", "cuda:N"], id="an unknown device"),
    pytest.param("--device cuda:99", ["cuda:99"], id="a missing GPU"),
    pytest.param("--trails 3", ["--trails", "--trials"], id="an unknown option"),
    pytest.param("--data-dir", ["--data-dir"], id="an option without its argument"),
    pytest.param("--cache-dir text.db", ["text.db"], id="a cache folder that is a file"),
    pytest.param("--storage optuna.db", ["'optuna.db'", "sqlite:///optuna.db"], id="a storage that is no URL"),
    pytest.param("--storage sqlite:///no/optuna.db", ["no folder", "/no"], id="a storage in a missing folder"),
    pytest.param("--storage sqlite:///empty", ["/empty", "is a folder"], id="a storage that is a folder"),
    pytest.param("--storage sqlite:///foreign.db", ["foreign.db", "Optuna"], id="a storage of somebody else"),
    pytest.param("--storage sqlite:///text.db", ["text.db", "not a database"], id="a storage that is a text"),
    pytest.param("--storage sqlite:///:memory:", ["memory"], id="a storage in memory"),
    pytest.param("--storage nosuch://host/name", ["nosuch"], id="a storage of an unknown kind"),
    pytest.param("--tracking-uri mlflow.db", ["'mlflow.db'", "sqlite:///mlflow.db"], id="a tracking URI that is none"),
    pytest.param("--tracking-uri file:./mlruns", ["'file:./mlruns'", "sqlite"], id="a file store for tracking"),
    pytest.param("--tracking-uri sqlite:///no/mlflow.db", ["no folder", "/no"], id="tracking in a missing folder"),
    pytest.param("--tracking-uri sqlite:///empty", ["/empty is a folder"], id="tracking in a folder"),
    pytest.param("--tracking-uri sqlite:///foreign.db", ["foreign.db", "MLflow"], id="tracking of somebody else"),
    pytest.param("--tracking-uri sqlite:///text.db", ["text.db", "database"], id="tracking in a text"),
    pytest.param("--tracking-uri sqlite://", ["memory"], id="tracking in memory"),
    pytest.param("--tracking-uri sqlite:///old/mlflow.db", ["old/mlruns", "file store"], id="MLflow's old file store"),
]

COMMANDS = [
    pytest.param("rum", ["'rum'", "run, status"], id="an unknown command"),
    pytest.param("dataset lst", ["'lst'", "Known are list, prepare, stats"], id="an unknown command of a group"),
    pytest.param("--verson", ["--verson"], id="an unknown option before the command"),
    pytest.param("run", ["STUDY"], id="run without a study"),
    pytest.param("run digitz", ["'digitz'", "did you mean 'digits'", ".py"], id="an unknown study"),
    pytest.param("run nowhere.py", ["nowhere.py"], id="a missing study file"),
    pytest.param("run empty", ["empty"], id="a study that is a folder"),
    pytest.param("run text.db", ["text.db"], id="a study that is a text"),
    pytest.param("best digits", ["sqlite:///optuna.db", "optrack run"], id="the best of what was never run"),
    pytest.param("best digitz", ["'digitz'", "did you mean 'digits'"], id="the best of an unknown study"),
    pytest.param("best mine.py", ["optrack run"], id="the best of a file that was never run"),
    pytest.param("status digits", ["sqlite:///optuna.db", "optrack run"], id="the status of what was never run"),
    pytest.param("status digitz", ["'digitz'", "did you mean 'digits'"], id="the status of an unknown study"),
    pytest.param("status digits --storage sqlite:///foreign.db", ["foreign.db"], id="the status in a foreign storage"),
    pytest.param(
        "importance digits", ["sqlite:///optuna.db", "optrack run"], id="the importance of what was never run"
    ),
    pytest.param("importance digitz", ["'digitz'", "did you mean 'digits'"], id="the importance of an unknown study"),
    pytest.param("retrain digits", ["sqlite:///optuna.db", "optrack run"], id="retraining what was never run"),
    pytest.param("retrain digitz", ["'digitz'", "did you mean 'digits'"], id="retraining an unknown study"),
    pytest.param("retrain digits --seeds 0", ["--seeds", "1"], id="retraining under no seed"),
    pytest.param("retrain digits --confirm -1", ["--confirm", "0"], id="a race of fewer than none"),
    pytest.param("retrain digits --confirm 1", ["--confirm", "at least 2", "got 1"], id="a race of one"),
    pytest.param("test digits", ["sqlite:///optuna.db", "optrack run"], id="testing what was never run"),
    pytest.param("test digitz", ["'digitz'", "did you mean 'digits'"], id="testing an unknown study"),
    pytest.param("report digits", ["sqlite:///optuna.db", "optrack run"], id="a report about what was never run"),
    pytest.param("report digitz", ["'digitz'", "did you mean 'digits'"], id="a report about an unknown study"),
    pytest.param("export digits", ["mlflow.db", "optrack retrain digits"], id="exporting what is not there"),
    pytest.param("export digits --tracking-uri sqlite:///foreign.db", ["foreign.db"], id="exporting from elsewhere"),
    pytest.param("export digits --output no/w.onnx", ["there is no folder no"], id="exporting into a missing folder"),
    pytest.param("dataset preview digits --output no/p.png", ["there is no folder no"], id="a picture in none"),
    pytest.param("new no/mine.py --images few", ["there is no folder no"], id="a study in a missing folder"),
    pytest.param("predict digits", ["PATH"], id="a prediction for no image"),
    pytest.param("predict digits nowhere.png", ["nowhere.png"], id="a prediction for a missing image"),
    pytest.param("predict digits empty", ["empty", ".png"], id="a prediction for an empty folder"),
    pytest.param("predict digits few", ["mlflow.db", "optrack retrain digits"], id="a prediction by nobody"),
    pytest.param("predict digits few --json --csv", ["--csv", "--json"], id="a prediction in two forms"),
    pytest.param("ui", ["optrack run"], id="the pages of nothing"),
    pytest.param("ui --mlflow-port 0", ["--mlflow-port", "1"], id="port 0"),
    pytest.param("ui --dashboard-port 70000", ["--dashboard-port", "65535"], id="a port above all"),
    pytest.param("dataset prepare digitz", ["'digitz'", "'digits'"], id="an unknown data set to prepare"),
    pytest.param("dataset prepare digits --image-size 0", ["--image-size", "1"], id="images of size 0"),
    pytest.param("dataset prepare digits --image-size 9999", ["9999", "4096"], id="images as large as a wall"),
    pytest.param("dataset prepare image_folder:nowhere", ["'nowhere'"], id="a missing folder to prepare"),
    pytest.param("dataset prepare fashion_mnist", ["'data'", "--download"], id="missing files to prepare"),
    pytest.param("dataset lst", ["'lst'"], id="an unknown command of a group"),
    pytest.param("architecture show lenett", ["'lenett'", "'lenet'"], id="an unknown architecture to show"),
    pytest.param("architecture show lenet --input 3,32", ["C,H,W", "'3,32'"], id="an input of two numbers"),
    pytest.param("architecture show lenet --input 3,32,x", ["C,H,W", "'3,32,x'"], id="an input in letters"),
    pytest.param("architecture show lenet --input 3,0,32", ["C,H,W", "'3,0,32'"], id="an input of height 0"),
    pytest.param("architecture show lenet --input 1,8,8", ["16 x 16", "8 x 8"], id="an input that is too small"),
    pytest.param("architecture show lenet --classes 0", ["--classes", "1"], id="no classes"),
    pytest.param("architecture show digits/lenett", ["'lenett'", "'lenet'"], id="an unknown family to show"),
    pytest.param("architecture show digitz/lenet", ["'digitz'", "'digits'"], id="a family of an unknown study"),
]


@pytest.fixture
def stage(folder: Path) -> Path:
    """A folder with a good study, and with all that may be in the way."""
    (folder / "mine.py").write_text(study())
    (folder / "text.db").write_text("no database, though it is longer than the header of one\n" * 3)
    with closing(sqlite3.connect(folder / "foreign.db")) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
        connection.commit()
    (folder / "old/mlruns/0").mkdir(parents=True)
    (folder / "old/mlruns/0/meta.yaml").write_text("name: Default\n")
    (folder / "empty").mkdir()
    for name, counts in {
        "one": {"ants": 9},
        "gap": {"ants": 9, "bees": 9, "cats": 0},
        "broken": {"ants": 9, "bees": 9},
        "few": {"ants": 1, "bees": 9},
    }.items():
        for class_name, count in counts.items():
            (folder / name / class_name).mkdir(parents=True)
            for number in range(count):
                pixels = np.full((6, 6, 3), number, dtype=np.uint8)
                Image.fromarray(pixels).save(folder / name / class_name / f"{number}.png")
    for number in range(4):  # of which two at most are withheld for tests
        (folder / f"broken/ants/{number}.png").write_bytes(b"no image")
    return folder


def listing(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def is_refused(run: Run, folder: Path, arguments: str, words: list[str]) -> None:
    before = listing(folder)
    answer = run(*arguments.split())
    assert answer.stderr.startswith("optrack: error: ")
    assert answer.stderr.count("\n") == 1
    assert answer.stderr.endswith("\n")
    assert [word for word in words if word not in answer.stderr] == []
    assert "Traceback" not in answer.stderr
    assert (answer.returncode, answer.stdout) == (2, "")
    assert listing(folder) == before


@pytest.mark.parametrize(("text", "words"), STUDY_FILES)
def test_a_study_that_makes_no_sense_is_refused(text: str, words: list[str], optrack: Run, stage: Path) -> None:
    (stage / "mine.py").write_text(text)
    is_refused(optrack, stage, "run mine.py --launcher inline", words)


@pytest.mark.parametrize(("options", "words"), RUN_OPTIONS)
def test_an_option_that_makes_no_sense_is_refused(options: str, words: list[str], optrack: Run, stage: Path) -> None:
    launcher = "" if "--launcher" in options else "--launcher inline "
    is_refused(optrack, stage, f"run mine.py {launcher}{options}", words)


@pytest.mark.parametrize(("arguments", "words"), COMMANDS)
def test_a_command_that_makes_no_sense_is_refused(arguments: str, words: list[str], optrack: Run, stage: Path) -> None:
    is_refused(optrack, stage, arguments, words)


@pytest.mark.skipif(find_spec("psycopg") is not None, reason="the driver is installed")
@pytest.mark.parametrize("option", ["--storage", "--tracking-uri"])
def test_a_missing_driver_is_named_and_the_password_is_not(option: str, optrack: Run, stage: Path) -> None:
    arguments = f"run mine.py --launcher inline {option} postgresql+psycopg://me:SECRET@localhost/name"
    is_refused(optrack, stage, arguments, ["psycopg", "driver"])
    assert "SECRET" not in optrack(*arguments.split()).stderr


def test_one_file_for_both_stores_is_refused(optrack: Run, stage: Path) -> None:
    arguments = "run mine.py --launcher inline --storage sqlite:///both.db --tracking-uri sqlite:///./both.db"
    is_refused(optrack, stage, arguments, ["both.db", "--storage", "--tracking-uri"])


def test_a_study_without_a_finished_trial_has_no_best(optrack: Run, stage: Path) -> None:
    from optrack.search.stores.optuna_store import open_family, open_storage
    from optrack.search.stores.records import STUDY_RECORD
    from optrack.search.study.lookup import load_study

    mine = load_study("mine.py")
    stored = open_family(open_storage("sqlite:///optuna.db"), mine, mine.families[0])
    stored.set_user_attr(STUDY_RECORD, mine.to_json())
    stored.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
    assert stage == Path.cwd()
    answer = optrack("best", "mine")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == (
        "optrack: error: study 'mine' has no finished trial yet: `optrack status mine` shows where it stands\n"
    )
    assert optrack("status", "mine").returncode == 0
    for command in ("retrain", "test"):
        answer = optrack(command, "mine")
        assert (answer.returncode, answer.stdout) == (2, "")
        assert "'linear' has no finished trial yet: `optrack run mine`" in answer.stderr


@pytest.mark.parametrize("command", ["importance", "report"])
@pytest.mark.parametrize("output", ["empty", "text.db/page.html", "nowhere/page.html"])
def test_a_page_that_cannot_be_written_is_refused(
    output: str, command: str, optrack: Run, stage: Path, searched: Path
) -> None:
    arguments = f"{command} tiny --storage sqlite:///{searched}/optuna.db --output {output}"
    is_refused(optrack, stage, arguments, ["--output", output])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("retrain tiny --family lineer", ["'lineer'", "did you mean 'linear'"]),
        ("test tiny --family lineer", ["'lineer'", "did you mean 'linear'"]),
        ("test tiny", ["linear", "no retrained model", "optrack retrain tiny"]),
        ("retrain tiny --launcher ray", ["'ray'", "processes"]),
        ("retrain tiny --device gpu", ["'gpu'", "cuda:N"]),
        ("retrain tiny --tracking-uri sqlite:///empty", ["/empty is a folder"]),
        ("retrain tiny --tracking-uri sqlite:///mlflow.db", ["mlflow.db", "no experiment 'tiny'", "--tracking-uri"]),
        ("test tiny --tracking-uri sqlite:///foreign.db", ["foreign.db", "MLflow"]),
        ("report tiny --tracking-uri sqlite:///text.db", ["text.db"]),
        ("export tiny", ["'tiny'", "optrack retrain tiny"]),
    ],
)
def test_after_a_search_too_what_makes_no_sense_is_refused(
    arguments: str, words: list[str], optrack: Run, stage: Path, searched: Path
) -> None:
    arguments += "" if arguments.startswith("export") else f" --storage sqlite:///{searched}/optuna.db"
    arguments += "" if "--tracking-uri" in arguments else f" --tracking-uri sqlite:///{searched}/mlflow.db"
    is_refused(optrack, stage, arguments, words)


@pytest.mark.parametrize("command", ["retrain", "test", "report", "export"])
def test_an_mlflow_that_is_away_is_said_after_a_search_too(
    command: str, optrack: Run, stage: Path, searched: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    where = "" if command == "export" else f" --storage sqlite:///{searched}/optuna.db"
    before = listing(stage)
    answer = optrack(*f"{command} tiny{where} --tracking-uri {address} --wait 0".split())
    assert listing(stage) == before
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith(f"optrack: error: MLflow at {address} does not answer: [Errno 111]")
    assert f"refused; `optrack {command} tiny" in answer.stderr


@pytest.mark.parametrize("group", ["", "dataset", "architecture"])
def test_without_a_command_there_is_help_and_no_error(group: str, optrack: Run) -> None:
    answer = optrack(*group.split())
    assert (answer.returncode, answer.stderr) == (2, "")
    assert f"Usage: {' '.join(['optrack', *group.split()])} [OPTIONS] COMMAND" in answer.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run digitz", ["'digitz'", "did you mean 'digits'"]),
        ("best mine.py --trails 3", ["--trails"]),
        pytest.param("run mine.py --tracking-uri sqlite:///text.db", ["text.db"], marks=pytest.mark.slow),
    ],
)
def test_the_console_script_refuses_in_the_same_way(arguments: str, words: list[str], shell: Run, stage: Path) -> None:
    is_refused(shell, stage, arguments, words)
