"""What contributors read, and what checks their changes, agree with the project."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted(file for file in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if file.name != "config.yml")
PAGES = ("CONTRIBUTING.md", "SECURITY.md", ".github/PULL_REQUEST_TEMPLATE.md")

# A file or folder of ours: with a slash in it, or a name with one of these endings. What users write begins with my_.
PATH = re.compile(r"(?<![\w./-])(?!my_)(?:[\w.-]+/[\w./-]*|[\w.-]+\.(?:cff|md|py|toml|txt|yaml|yml)\b)")


def paths_in(text: str) -> set[str]:
    """The paths in code and links of a Markdown text, without addresses and what is not committed."""
    code = [
        *re.findall(r"```.*?```", text, re.DOTALL),
        *re.findall(r"`[^`\n]+`", text),
        *re.findall(r"\]\(([^)]+)\)", text),
    ]
    found = PATH.findall(re.sub(r"https?://\S+", "", "\n".join(code)))
    return {path for path in found if not path.startswith(".venv/")}


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def made_in(text: str) -> set[str]:
    """The targets that a text calls with `make TARGET`."""
    return set(re.findall(r"(?:^\$ |`|run: )make ([a-z-]+)", text, re.MULTILINE))


def loaded(file: str) -> Any:
    return yaml.safe_load((ROOT / file).read_text())


def test_paths_are_found_in_code_blocks_and_links_but_not_in_addresses() -> None:
    text = (
        "and/or `a/b.py -k x` [c](d.md) `--run-source my_net.py` [e](https://f.g/h.md)\n```console\n$ .ci/run i/\n```\n"
    )
    assert paths_in(text) == {"a/b.py", "d.md", ".ci/run", "i/"}


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_for_contributors_names_exists(page: str) -> None:
    named = paths_in((ROOT / page).read_text())
    assert {path for path in named if not (ROOT / path).exists()} == set()


@pytest.mark.parametrize("page", [*PAGES, *(str(file.relative_to(ROOT)) for file in WORKFLOWS)])
def test_every_make_target_that_is_named_is_in_the_makefile(page: str) -> None:
    assert made_in((ROOT / page).read_text()) <= targets()


def test_contributing_names_the_paths_and_targets_that_every_change_needs() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert {"docs/architecture.md", "CHANGELOG.md", ".ci/run"} <= paths_in(text)
    assert {"install", "test", "test-slow"} <= made_in(text)


def test_the_workflow_runs_both_parts_of_the_tests_from_the_oldest_supported_python_on() -> None:
    jobs = loaded(".github/workflows/test.yml")["jobs"]
    commands = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    assert commands == {"test": ["make install", "make test"], "test-slow": ["make install", "make test-slow"]}
    matrix = jobs["test"]["strategy"]["matrix"]
    assert PROJECT["requires-python"] == f">={matrix['python'][0]}"
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos"}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_may_only_read_and_ends_in_time(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert all(0 < job["timeout-minutes"] <= 120 for job in workflow["jobs"].values())


def test_pre_commit_runs_the_ruff_that_is_pinned() -> None:
    (pin,) = re.findall(r"^ruff==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    (ruff,) = (repo for repo in loaded(".pre-commit-config.yaml")["repos"] if "ruff" in repo["repo"])
    assert ruff["rev"] == f"v{pin}"
    assert [hook["id"] for hook in ruff["hooks"]] == ["ruff-check", "ruff-format"]


def test_the_citation_says_what_pyproject_says() -> None:
    citation = loaded("CITATION.cff")
    for name in ("version", "license", "keywords"):
        assert citation[name] == PROJECT[name]
    assert citation["title"] == PROJECT["name"]
    assert PROJECT["urls"]["Documentation"].startswith(citation["repository-code"])


@pytest.mark.parametrize("file", FORMS, ids=lambda file: file.name)
def test_an_issue_form_has_what_github_requires(file: Path) -> None:
    form = yaml.safe_load(file.read_text())
    assert all(form[name] for name in ("name", "description", "body"))
    ids = [part["id"] for part in form["body"]]
    assert len(set(ids)) == len(ids)
    assert all(
        part["type"] in {"textarea", "input", "dropdown"} and part["attributes"]["label"] for part in form["body"]
    )
