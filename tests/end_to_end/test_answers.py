"""The commands that read: their tables, and the JSON that others may rely on."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


def answered(run: Run, *arguments: object) -> Any:
    answer = run(*arguments, "--json")
    assert (answer.returncode, answer.stderr) == (0, "")
    return json.loads(answer.stdout)


@pytest.fixture
def stored(searched: Path) -> tuple[str, str]:
    return ("--storage", f"sqlite:///{searched}/optuna.db")


def test_status_counts_the_trials_by_state(optrack: Run, stored: tuple[str, str]) -> None:
    answer = answered(optrack, "status", "tiny", *stored)
    assert answer["study"] == "tiny"
    assert [family["family"] for family in answer["families"]] == ["linear", "deep"]
    for family in answer["families"]:
        counts = family["trials"]
        assert set(counts) >= {"total", "finished", "pruned", "failed", "running"}
        assert counts["total"] == counts["finished"] + counts["pruned"] == 3
        assert (counts["failed"], counts["running"]) == (0, 0)
        assert set(family["best"]) == {"trial", "value", "epoch", "params"}


def test_best_gives_each_familys_best_with_its_run(optrack: Run, stored: tuple[str, str], searched: Path) -> None:
    from mlflow import MlflowClient

    answer = answered(optrack, "best", "tiny", *stored)
    assert (answer["study"], answer["metric"]) == ("tiny", "val_accuracy")
    assert [family["family"] for family in answer["families"]] == ["linear", "deep"]
    for family in answer["families"]:
        assert set(family) >= {"family", "trial", "value", "epoch", "params", "mlflow_run"}
        run = MlflowClient(f"sqlite:///{searched}/mlflow.db").get_run(family["mlflow_run"])
        assert run.data.tags["optrack.trial"] == str(family["trial"])
        assert run.data.metrics["best/val_accuracy"] == family["value"]
        assert {name: str(value) for name, value in family["params"].items()}.items() <= run.data.params.items()


def test_a_study_is_read_by_name_and_by_path(optrack: Run, stored: tuple[str, str], searched: Path) -> None:
    for command in ("status", "best"):
        assert answered(optrack, command, "tiny", *stored) == answered(optrack, command, searched / "tiny.py", *stored)


def test_tables_show_what_the_json_says(optrack: Run, stored: tuple[str, str]) -> None:
    for row in answered(optrack, "best", "tiny", *stored)["families"]:
        (line,) = (
            line for line in optrack("best", "tiny", *stored).stdout.splitlines() if f" {row['family']} " in line
        )
        cells = line.split()
        assert cells[:4] == [row["family"], f"{row['value']:.4g}", str(row["trial"]), str(row["epoch"])]
        assert f"lr={row['params']['lr']:.4g}" in cells
    for row in answered(optrack, "status", "tiny", *stored)["families"]:
        (line,) = (
            line for line in optrack("status", "tiny", *stored).stdout.splitlines() if f" {row['family']} " in line
        )
        counts = row["trials"]
        states = ("total", "finished", "pruned", "failed", "running", "waiting")
        assert line.split()[1:7] == [str(counts[state]) for state in states]


def test_importance_writes_a_page_and_says_where(optrack: Run, stored: tuple[str, str], folder: Path) -> None:
    answer = answered(optrack, "importance", "tiny", *stored)
    assert (answer["study"], answer["metric"], answer["page"]) == ("tiny", "val_accuracy", "tiny-importance.html")
    for family in answer["families"]:
        assert set(family) >= {"family", "completed", "reliable", "note", "importances"}
        assert family["reliable"] is False
        assert "too few" in family["note"]
    page = (folder / "tiny-importance.html").read_text(encoding="utf-8")
    assert "<title>tiny: what matters</title>" in page
    assert [path.name for path in folder.iterdir()] == ["tiny-importance.html"]


def test_importance_as_a_table_names_the_page_on_stderr(optrack: Run, stored: tuple[str, str], folder: Path) -> None:
    (folder / "there").mkdir()
    answer = optrack("importance", "tiny", *stored, "--output", "there/page.html")
    assert answer.returncode == 0
    assert "tiny: importance of hyperparameters" in answer.stdout
    assert answer.stderr == f"Figures: {folder}/there/page.html\n"
    assert (folder / "there" / "page.html").is_file()


def test_reading_changes_nothing_in_the_storage(optrack: Run, stored: tuple[str, str], searched: Path) -> None:
    before = (searched / "optuna.db").read_bytes()
    for command in ("status", "best", "importance"):
        assert optrack(command, "tiny", *stored).returncode == 0
    assert (searched / "optuna.db").read_bytes() == before


def test_studies_are_listed_with_data_set_families_and_source(optrack: Run) -> None:
    listed = {entry["study"]: entry for entry in answered(optrack, "studies")}
    assert set(listed["digits"]) >= {"study", "dataset", "families", "source"}
    assert listed["digits"]["dataset"] == "digits"
    assert listed["digits"]["families"] == ["logistic", "mlp", "lenet"]
    assert all(Path(entry["source"]).is_file() for entry in listed.values())


def test_data_sets_are_listed_with_where_they_were_found(optrack: Run, folder: Path) -> None:
    listed = {entry["dataset"]: entry for entry in answered(optrack, "dataset", "list")}
    assert set(listed) >= {"digits", "fashion_mnist", "image_folder:PATH"}
    assert listed["digits"]["found"] == "embedded"
    assert (listed["digits"]["channels"], listed["digits"]["image_size"], listed["digits"]["classes"]) == (1, 8, 10)
    assert listed["fashion_mnist"]["found"] is None
    (folder / "mine/fashion_mnist/train").mkdir(parents=True)
    found = {entry["dataset"]: entry for entry in answered(optrack, "dataset", "list", "--data-dir", "mine")}
    assert found["fashion_mnist"]["found"] == "mine/fashion_mnist"


def test_a_data_set_is_prepared_once(optrack: Run, folder: Path) -> None:
    first = optrack("dataset", "prepare", "digits", "--image-size", 10, "--cache-dir", "cache")
    assert first.returncode == 0
    assert first.stdout.startswith(f"digits: 1437 images of 1 x 10 x 10 in {folder}/cache/digits-10-")
    (images,) = (folder / "cache").rglob("images.npy")
    before = images.stat().st_mtime_ns
    again = optrack("dataset", "prepare", "digits", "--image-size", 10, "--cache-dir", "cache")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert images.stat().st_mtime_ns == before


def test_architectures_are_listed_with_their_hyperparameters(optrack: Run) -> None:
    listed = {entry["architecture"]: entry for entry in answered(optrack, "architecture", "list")}
    assert set(listed) >= {"logistic", "mlp", "lenet"}
    dropout = listed["lenet"]["hyperparameters"]["dropout"]
    assert dropout == {"allowed": "float, >= 0, < 1", "default": 0.0}


def test_an_architecture_is_shown_layer_by_layer(optrack: Run) -> None:
    shown = answered(optrack, "architecture", "show", "lenet", "--input", "3,30,30", "--classes", 43)
    assert (shown["architecture"], shown["input"], shown["classes"]) == ("lenet", [3, 30, 30], 43)
    assert set(shown["parameters"]) == {"total", "trainable"}
    assert shown["multiply_adds"] > 100_000
    for layer in shown["layers"]:
        assert set(layer) >= {"name", "type", "output_shape", "parameters", "trainable"}
    assert sum(layer["parameters"] for layer in shown["layers"]) == shown["parameters"]["total"]
    table = optrack("architecture", "show", "lenet", "--input", "3,30,30", "--classes", 43).stdout
    assert f"{shown['parameters']['total']:,} parameters" in " ".join(table.split())


def test_a_family_is_shown_on_its_studys_images(optrack: Run) -> None:
    shown = answered(optrack, "architecture", "show", "digits/lenet")
    assert (shown["architecture"], shown["input"][0], shown["classes"]) == ("lenet", 1, 10)
    bare = answered(optrack, "architecture", "show", "lenet", "--input", ",".join(map(str, shown["input"])))
    assert shown["parameters"]["total"] > bare["parameters"]["total"]  # its start has batch norm


def test_the_console_script_answers_like_the_function(optrack: Run, shell: Run, stored: tuple[str, str]) -> None:
    assert answered(shell, "best", "tiny", *stored) == answered(optrack, "best", "tiny", *stored)


def test_a_pipe_that_is_closed_early_is_no_error(searched: Path) -> None:
    import sys

    script = Path(sys.executable).with_name("optrack")
    process = subprocess.Popen(
        [script, "architecture", "list", "--json"],
        cwd=searched,
        env={"HOME": str(searched), "PATH": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
