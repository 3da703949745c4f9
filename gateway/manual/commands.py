"""docs/commands.md: every command of `tongluo` with its arguments and options, from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from gateway.cli import app

HEAD = """\
# Commands

命令行 `tongluo`（也可用 `python -m gateway`）。本页由 `make docs` 从程序生成，不要手改。

`tongluo COMMAND --help` says the same. Errors go to standard error in one or two plain sentences. Exit codes: 0 ok,
1 refused or failed, 2 wrong usage.
"""


def commands_page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_described(path, command) for path, command in commands())])


def commands() -> Iterator[tuple[str, TyperCommand]]:
    """Every command with its words, e.g. ("keys create", ...)."""
    yield from _below("", get_command(app))


def _below(path: str, command: object) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperCommand):
        yield path, command
    elif isinstance(command, TyperGroup):
        for name, each in command.commands.items():
            yield from _below(f"{path} {name}".strip(), each)


def _described(path: str, command: TyperCommand) -> str:
    arguments = [each for each in command.params if isinstance(each, TyperArgument)]
    options = [each for each in command.params if isinstance(each, TyperOption)]
    usage = " ".join(["tongluo", path, *(_shown(each) for each in arguments), *(["[options]"] if options else [])])
    lines = [f"## `{usage}`", "", (command.help or "").strip()]
    rows = [*(_argument(each) for each in arguments), *(_option(each) for each in options)]
    if rows:
        lines += ["", "| | | default |", "|---|---|---|", *rows]
    return "\n".join([*lines, ""])


def _shown(argument: TyperArgument) -> str:
    name = (argument.name or "").upper() + ("..." if argument.nargs != 1 else "")
    return name if argument.required else f"[{name}]"


def _argument(argument: TyperArgument) -> str:
    return f"| `{_shown(argument)}` | {_help(argument)} | |"


def _option(option: TyperOption) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    told = _help(option) + (f" Environment: `{option.envvar}`." if option.envvar else "")
    silent = option.default is None or option.default in ("", [], (), False) or callable(option.default)
    return f"| {names} | {told} | {'' if silent else f'`{option.default}`'} |"


def _help(parameter: TyperArgument | TyperOption) -> str:
    return (parameter.help or "").replace("|", "\\|")
