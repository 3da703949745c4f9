"""The command line `tongluo`. Each module holds the commands of one subject; `main` turns every refusal into one plain sentence."""

from __future__ import annotations

import contextlib
import os
import sys

import aiohttp
import typer

from gateway import __version__
from gateway.cli import messages, operate, reference, serve, storing
from gateway.errors import Refused, TongluoError

app = typer.Typer(
    name="tongluo",
    help="铜锣 Tongluo: public warnings to every village, and proof of who was reached.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
serve.register(app)
messages.register(app)
reference.register(app)
operate.register(app)
storing.register(app)


@app.callback(invoke_without_command=True)
def about(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    """铜锣 Tongluo."""
    if version:
        print(__version__)
        raise typer.Exit


def main() -> None:
    """Run a command. Exit 0 = ok, 1 = refused or failed, 2 = wrong usage; errors are sentences on standard error."""
    try:
        app()
    except Refused as refusal:
        fail(f"{refusal.zh} / {refusal.en} [{refusal.code}]")
    except TongluoError as error:
        fail(str(error))
    except aiohttp.ClientConnectionError as error:
        fail(f"没有网关应答 / no gateway answers: {error}. Is `tongluo run` up, and is --url right?")
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        fail(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def fail(sentence: str) -> None:
    """Say what is wrong and leave."""
    print(f"tongluo: {sentence}", file=sys.stderr)
    raise SystemExit(1)
