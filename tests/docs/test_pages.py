"""Every command and every piece of Python on the pages of the guide and in the README does what it says.

What a page shows, it shows in this form:

- ```console: lines that begin with `$ ` are commands, lines with `> ` go on with the command above, the others are what
  it prints. Each line of output without a digit must occur in what the command prints; `…` stands for anything.
- `<!-- exit 2 -->` before the block: its commands end with this code, and print what is shown to the last character.
- `<!-- example -->` before the block: what is printed depends on the run, and is not compared.
- ```python: a file where the first line is a comment with its name, such as `# pets.py`; else it is run.

The commands run with budgets that are smaller than those on the pages (`SMALLER`), on pictures that conftest.py makes.
What belongs to the installation is compared with Makefile and pyproject.toml instead of being run (`INSTALLING`).
"""

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]

# Pages that go on from one another run in one folder, in this order.
SEQUENCES = (
    ("README.md",),
    ("docs/index.md", "docs/reading-results.md"),
    ("docs/own-pictures.md", "docs/using-the-winner.md"),
    ("docs/own-model.md",),
    ("docs/how-the-search-works.md",),
    ("docs/cores-and-gpus.md",),
)
# They hold no commands of ours, or are written by programs.
WITHOUT_COMMANDS = {"docs/architecture.md", "docs/decisions.md", "docs/changelog.md"}
LANGUAGES = {"console", "python", "text", "json"}
PROGRAMS = ("optrack", "mlflow", "optuna-dashboard", "curl", "make", "pip", "python", "source", "mkdocs")

# The last one counts where an option is given twice.
SMALLER = {"optrack run": "--trials 2 --epochs 2 --threads 1", "optrack retrain": "--seeds 2 --confirm 0 --threads 1"}
# A command that stays up until Ctrl-C, and what must be said so that it listens at a free port.
SERVERS = {
    "optrack ui": "--mlflow-port 5000 --dashboard-port 8080",
    "optrack serve": "--port 8600",
    "mlflow ui": "--port 5000",
    "mlflow models serve": "--port 5001",
    "optuna-dashboard": "--port 8080",
}
INSTALLING = ("make ", "pip install ", "source ")


class Shell(Protocol):
    """The fixture of conftest.py."""

    folder: Path

    def with_free_ports(self, text: str) -> str: ...
    def run(self, command: str, /) -> tuple[int, str]: ...
    def enter(self, folder: str, /) -> tuple[int, str]: ...
    def start(self, command: str, /) -> tuple[int, str]: ...
    def end_servers(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command of a page, and what the page shows of its output."""

    text: str
    output: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its place, language and lines, and the HTML comment before it."""

    page: str
    number: int
    language: str
    note: str
    lines: list[str]

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.page}:{self.number}"

    def commands(self) -> list[Command]:
        """The commands of a console block."""
        found: list[Command] = []
        for line in self.lines:
            if line.startswith("$ "):
                found.append(Command(text=line.removeprefix("$ ")))
            elif line.startswith("> "):
                found[-1] = Command(text=f"{found[-1].text}\n{line.removeprefix('> ')}")
            else:
                found[-1].output.append(line)
        return found


def blocks(page: str) -> Iterator[Block]:
    lines = (ROOT / page).read_text().splitlines()
    begin: int | None = None
    for index, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if begin is None:
            begin = index
            continue
        before = [text for text in lines[:begin] if text.strip()]
        note = re.fullmatch(r"<!-- (.*) -->", before[-1]) if before else None
        yield Block(
            page=page,
            number=begin + 1,
            language=lines[begin].removeprefix("```"),
            note=note[1] if note else "",
            lines=lines[begin + 1 : index],
        )
        begin = None
    assert begin is None, f"{page}: the block at line {begin} has no end"


def pages() -> list[str]:
    found = [str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "reference"]
    return sorted(["README.md", *found])


BLOCKS = [block for page in pages() if page not in WITHOUT_COMMANDS for block in blocks(page)]
COMMANDS = [(block, command) for block in BLOCKS if block.language == "console" for command in block.commands()]


def test_every_page_is_run() -> None:
    assert sorted([*(page for sequence in SEQUENCES for page in sequence), *WITHOUT_COMMANDS]) == pages()


def test_pages_without_commands_have_none() -> None:
    found = [block for page in WITHOUT_COMMANDS for block in blocks(page)]
    assert [block.place for block in found if block.language != "text"] == []


def test_every_block_says_what_it_is() -> None:
    assert [block.place for block in BLOCKS if block.language not in LANGUAGES] == []
    indented = [page for page in pages() if re.search(r"^[ \t]+```", (ROOT / page).read_text(), re.MULTILINE)]
    assert indented == []  # they would not be seen here


def test_commands_stand_in_console_blocks_alone() -> None:
    escaped = [
        f"{block.place}: {line}"
        for block in BLOCKS
        if block.language != "console"
        for line in block.lines
        if line.removeprefix("$ ").lstrip().startswith(tuple(f"{program} " for program in PROGRAMS))
    ]
    assert escaped == []
    assert [block.place for block in BLOCKS if block.language == "console" and block.lines[0][:2] != "$ "] == []


def test_notes_are_of_the_known_kinds() -> None:
    assert [block.place for block in BLOCKS if not re.fullmatch(r"|exit \d+|example", block.note)] == []


def commands_and_options() -> dict[str, set[str]]:
    """Every command, groups included, with its options."""
    from typer.main import get_command

    from optrack.search.cli.app import app

    def walk(command: Any, name: str) -> Iterator[tuple[str, set[str]]]:
        yield name, {"--help", *(opt for parameter in command.params for opt in parameter.opts)}
        for child, nested in getattr(command, "commands", {}).items():
            yield from walk(nested, f"{name} {child}")

    return dict(walk(get_command(app), "optrack"))


def test_commands_within_sentences_exist_with_their_options() -> None:
    known = commands_and_options()
    unknown: list[str] = []
    for page in pages():
        text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
        for mentioned in re.findall(r"`(optrack(?: [^`]*)?)`", text):
            words = mentioned.split()
            name = max((name for name in known if words[: len(name.split())] == name.split()), key=len)
            options = {word.partition("=")[0] for word in words if word.startswith("--")}
            group = any(other.startswith(f"{name} ") for other in known)
            rest = words[len(name.split()) :]
            if options - known[name] or (group and rest and not rest[0].isupper() and not options):
                unknown.append(f"{page}: {mentioned}")
    assert unknown == []


@pytest.mark.parametrize(
    "line", sorted({command.text for _, command in COMMANDS if command.text.startswith(INSTALLING)})
)
def test_what_installs_names_what_there_is(line: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    program, *words = shlex.split(line, comments=True)
    if program == "make":
        [target] = words
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    elif program == "source":
        [script] = words
        assert f"VENV := {script.removesuffix('/bin/activate')}\n" in makefile
    else:
        requirement = Requirement(words[-1])
        assert requirement.name == project["name"]
        assert requirement.extras <= set(project["optional-dependencies"])


@pytest.mark.slow
@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda sequence: sequence[0])
def test_the_commands_of_a_page_do_what_it_says(sequence: tuple[str, ...], shell: Shell) -> None:
    for page in sequence:
        for block in (block for block in BLOCKS if block.page == page):
            if block.language == "python":
                run_python(block, shell)
            elif block.language == "console":
                for command in block.commands():
                    run_command(block, command, shell)
        shell.end_servers()


def run_python(block: Block, shell: Shell) -> None:
    text = "\n".join([*block.lines, ""])
    if named := re.fullmatch(r"# (\w+\.py)", block.lines[0]):
        (shell.folder / named[1]).write_text(text)
        return
    (shell.folder / "from_the_page.py").write_text(text)
    code, printed = shell.run("python from_the_page.py")
    assert code == 0, f"{block.place}\n{printed}"


def run_command(block: Block, command: Command, shell: Shell) -> None:
    if command.text.startswith(INSTALLING):
        return
    typed = as_run(command.text)
    if typed.startswith("cd "):
        code, printed = shell.enter(typed.removeprefix("cd "))
    else:
        begin = shell.start if typed.startswith(tuple(SERVERS)) else shell.run
        code, printed = begin(shell.with_free_ports(typed))
    where = f"{block.place}\n$ {typed}\n{printed}"
    wanted = re.fullmatch(r"exit (\d+)", block.note)
    assert code == (int(wanted[1]) if wanted else 0), where
    if wanted:
        assert shown(command.output).fullmatch(flat(printed)), where
    elif block.note != "example":
        for line in command.output:
            if not re.search(r"\d", line):
                assert shown([line]).search(flat(printed)), f"{where}\nshould print: {line}"


def as_run(text: str) -> str:
    """A command with a smaller budget, or with ports that can be replaced; without the comment behind it."""
    command = re.sub(r"\s+# .*$", "", text)
    for begin, options in SMALLER.items():
        if command.startswith(f"{begin} "):
            return f"{command} {options}"
    for begin, options in SERVERS.items():
        if command == begin or command.startswith(f"{begin} "):
            return command if re.search(r"-port|-p ", command) else f"{command} {options}"
    return command


def flat(text: str) -> str:
    """A text in one line, without the lines of tables."""
    return " ".join(re.sub("[─━]", "", text).split())


def shown(lines: list[str]) -> re.Pattern[str]:
    """What a page shows, as a pattern in which `…` stands for anything."""
    return re.compile(".*".join(re.escape(part.strip()) for part in flat(" ".join(lines)).split("…")), re.DOTALL)


class Said:
    """A shell in which every command ends in the same way."""

    folder = Path()

    def __init__(self, code: int, printed: str) -> None:
        self._answer = code, printed

    def with_free_ports(self, text: str) -> str:
        return text

    def run(self, _: str, /) -> tuple[int, str]:
        return self._answer

    enter = start = run

    def end_servers(self) -> None: ...


def block_of(*lines: str, note: str = "") -> Block:
    return Block(page="page.md", number=1, language="console", note=note, lines=list(lines))


def test_commands_are_told_from_what_they_print() -> None:
    [first, second] = block_of("$ one \\", "> --more", "printed", "", "$ two").commands()
    assert (first.text, first.output) == ("one \\\n--more", ["printed", ""])
    assert (second.text, second.output) == ("two", [])


@pytest.mark.parametrize(
    ("typed", "run"),
    [
        ("optrack run a.py --trials 40  # forty", "optrack run a.py --trials 40 --trials 2 --epochs 2 --threads 1"),
        ("optrack ui", "optrack ui --mlflow-port 5000 --dashboard-port 8080"),
        ("optrack serve a.py --port 8600", "optrack serve a.py --port 8600"),
        ("optrack status a.py", "optrack status a.py"),
    ],
)
def test_commands_run_with_small_budgets_and_ports_that_can_be_replaced(typed: str, run: str) -> None:
    assert as_run(typed) == run


@pytest.mark.parametrize(
    ("code", "printed", "output", "note"),
    [
        (1, "", [], ""),
        (0, "", [], "exit 2"),
        (0, "family  trials", ["family   values"], ""),
        (2, "error: no such file", ["error: no such"], "exit 2"),
        (2, "error: no such file", ["error: no … folder"], "exit 2"),
    ],
)
def test_a_page_that_says_something_else_is_seen(code: int, printed: str, output: list[str], note: str) -> None:
    block = block_of("$ optrack status a.py", *output, note=note)
    with pytest.raises(AssertionError):
        run_command(block, block.commands()[0], Said(code, printed))


@pytest.mark.parametrize(
    ("code", "printed", "output", "note"),
    [
        (0, "family  trials\n───\n a  7\n", [" family   trials", " ────", " b  8", "…"], ""),
        (0, "whatever", ["something else"], "example"),
        (2, "error: no such\nfile\n", ["error: no such file"], "exit 2"),
        (2, "error: no file abc, only def", ["error: no file …, only", "def"], "exit 2"),
    ],
)
def test_a_page_that_says_what_happens_passes(code: int, printed: str, output: list[str], note: str) -> None:
    block = block_of("$ optrack status a.py", *output, note=note)
    run_command(block, block.commands()[0], Said(code, printed))
