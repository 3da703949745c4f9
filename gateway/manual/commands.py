"""docs/commands.md: every command of `tongluo` with its arguments and options, from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator

import click
import typer.main

from gateway.cli import app

HEAD = """\
# Commands

命令行 `tongluo`（也可用 `python -m gateway`）。本页由 `make docs` 从程序生成，不要手改。

`tongluo COMMAND --help` says the same. Errors go to standard error in one or two plain sentences. Exit codes: 0 ok, 1 refused or failed,
2 wrong usage.
"""


def commands_page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_described(path, command) for path, command in commands())])


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its words, e.g. ("keys create", ...)."""
    yield from _below("", typer.main.get_command(app))


def _below(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name, each in command.commands.items():
        yield from _below(f"{path} {name}".strip(), each)


def _described(path: str, command: click.Command) -> str:
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    options = [each for each in command.params if isinstance(each, click.Option)]
    usage = " ".join(["tongluo", path, *(_shown(each) for each in arguments), *(["[options]"] if options else [])])
    lines = [f"## `{usage}`", "", (command.help or "").strip()]
    rows = [*(_argument(each) for each in arguments), *(_option(each) for each in options)]
    if rows:
        lines += ["", "| | | default |", "|---|---|---|", *rows]
    return "\n".join([*lines, ""])


def _shown(argument: click.Argument) -> str:
    name = (argument.name or "").upper() + ("..." if argument.nargs != 1 else "")
    return name if argument.required else f"[{name}]"


def _argument(argument: click.Argument) -> str:
    return f"| `{_shown(argument)}` | {_help(argument)} | |"


def _option(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    told = _help(option) + (f" Environment: `{option.envvar}`." if option.envvar else "")
    silent = option.default is None or option.default in ("", [], (), False) or callable(option.default)
    return f"| {names} | {told} | {'' if silent else f'`{option.default}`'} |"


def _help(parameter: click.Parameter) -> str:
    return str(getattr(parameter, "help", "") or "").replace("|", "\\|")
