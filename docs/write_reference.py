"""Write the pages of the reference that are read out of the code: commands, architectures, samplers and pruners.

    python docs/write_reference.py [FOLDER]

FOLDER is `docs/reference` unless given. A test compares what this writes with what lies there.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from griffe import Docstring, DocstringSectionParameters
from typer.main import get_command

from optrack.architectures import ARCHITECTURES, architecture
from optrack.search.cli.app import app
from optrack.search.coordinator import PRUNERS, SAMPLERS
from optrack.search.study import keyword_parameters

HERE = Path(__file__).parent

COMMANDS_HEAD = """# Commands

This page is read out of the command line itself; `optrack COMMAND --help` says the same in a terminal.

What holds for all of them: the answer goes to standard output, progress and messages to standard error. The exit code
is 0 when it is done, 1 when something failed, 2 on bad input, which is named in one line, and 130 when it was
interrupted; `optrack ui` and `optrack serve` run until Ctrl-C, which ends them with 0. What has `--json` answers in a
form for programs. `optrack --version` says which versions these are.
"""

ARCHITECTURES_HEAD = """# Architectures

What a family can name as its `architecture`, and what its options and its space may then hold beside
[what the training takes](study-file.md#training). This page is read out of the code; `optrack architecture list` says
the same in a terminal.

Any classification model of torchvision is an architecture too, as `torchvision:NAME`, and with `timm` installed any of
timm's, as `timm:NAME`; these take what `resnet18` takes, but for a `trainable_blocks` of their own. A network of your
own is named by its file or module: see [Your own model](../own-model.md).
"""

STRATEGIES_HEAD = """# Samplers and pruners

What `sampler` and `pruner` of a study can be, as `Sampler("tpe", n_startup_trials=20)`, or on the command line as
`--sampler tpe --sampler-option n_startup_trials=20`. All of them are Optuna's own. This page is read out of the code.
[How the search works](../how-the-search-works.md) says which to take when.
"""


def pages() -> dict[str, str]:
    """Give the name of each page and what stands on it."""
    return {
        "commands.md": commands_page(),
        "architectures.md": architectures_page(),
        "strategies.md": strategies_page(),
    }


def commands_page() -> str:
    """Describe every command: how it is called, its arguments, its options."""
    root: Any = get_command(app)
    leaves = list(leaf_commands(root))
    rows = [[f"[`{path}`](#{path.replace(' ', '-')})", first_line(command)] for path, command in leaves]
    parts = [COMMANDS_HEAD, table(["command", "what it does"], rows)]
    for path, command in leaves:
        arguments = [item for item in command.params if item.param_type_name == "argument"]
        options = [item for item in command.params if item.param_type_name == "option" and item.name != "help"]
        usage = " ".join([path, *(item.metavar or item.name.upper() for item in arguments), "[OPTIONS]"])
        parts += [f"## {path}\n", plain(inspect.cleandoc(command.help)) + "\n", f"```text\n{usage}\n```\n"]
        if arguments:
            rows = [[f"`{item.metavar or item.name.upper()}`", plain(item.help)] for item in arguments]
            parts.append(table(["argument", "what it is"], rows))
        if options:
            rows = [[f"`{option_form(item)}`", plain(item.help), option_default(item)] for item in options]
            parts.append(table(["option", "what it does", "default"], rows))
    return "\n".join(parts)


def plain(text: str) -> str:
    """Give a help text as Markdown that shows its asterisks."""
    return text.replace("*", "\\*")


def leaf_commands(group: Any, path: str = "optrack") -> Iterator[tuple[str, Any]]:
    """Give every command that is no group, with all words of its name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaf_commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def first_line(command: Any) -> str:
    """Give the sentence that a command's help begins with."""
    return str(command.help).splitlines()[0]


def option_form(option: Any) -> str:
    """Give an option as it is typed, with what stands for its value: `--workers N`."""
    if option.is_flag:
        return option.opts[0]
    return f"{option.opts[0]} {option.metavar or option.name.upper()}"


def option_default(option: Any) -> str:
    """Give what holds where an option is not given; nothing where that is to leave things as they are."""
    default = "" if option.is_flag or option.default is None else f"`{option.default}`"
    if option.envvar:
        return f"`${option.envvar}`, or else {default}"
    return default


def architectures_page() -> str:
    """Describe every architecture: what it is, and its hyperparameters with ranges and defaults."""
    parts = [ARCHITECTURES_HEAD]
    for name in ARCHITECTURES:
        made = architecture(name)
        parts += [f"## {name}\n", description(made) + "\n", parameters_table(made)]
    return "\n".join(parts)


def strategies_page() -> str:
    """Describe every sampler and every pruner: what it does, and its options with ranges and defaults."""
    return "\n".join([STRATEGIES_HEAD, *strategies("Samplers", SAMPLERS), *strategies("Pruners", PRUNERS)])


def strategies(title: str, known: Mapping[str, Callable[..., Any]]) -> Iterator[str]:
    """Describe the strategies of one kind, each once, with the other names that it goes by."""
    yield f"## {title}\n"
    for name, make in known.items():
        names = [other for other, function in known.items() if function is make]
        if name != names[0]:
            continue
        yield f"### {name}\n"
        yield description(make) + "".join(f"\n\nAlso called `{other}`." for other in names[1:]) + "\n"
        if keyword_parameters(make):
            yield parameters_table(make)


def description(documented: Callable[..., Any]) -> str:
    """Give what a docstring says in front of its sections."""
    first = Docstring(inspect.cleandoc(documented.__doc__ or "")).parse("google", warnings=False)[0]
    return str(first.value)


def parameters_table(documented: Callable[..., Any]) -> str:
    """Describe the keyword-only parameters of a function or class, in the words of its docstring where it has some."""
    said = {
        item.name: " ".join(item.description.split())
        for section in Docstring(inspect.cleandoc(documented.__doc__ or "")).parse("google", warnings=False)
        if isinstance(section, DocstringSectionParameters)
        for item in section.value
    }
    parameters = keyword_parameters(documented).values()
    rows = [[f"`{item.name}`", item.allowed(), f"`{item.default}`", said.get(item.name, "")] for item in parameters]
    if not said:
        return table(["name", "allowed", "default"], [row[:-1] for row in rows])
    return table(["name", "allowed", "default", "what it is"], rows)


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Give a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(folder: Path) -> None:
    """Write the pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "reference")
