"""The command ``boxest``. Each of its subcommands makes one call to the package.

Heavy modules are imported only when a command runs, so that ``--help`` appears at once.
"""

import io
import sys
import traceback
import warnings
from typing import Any, NoReturn

import click

import boxest as package
from boxest.cli.convert import convert
from boxest.cli.export import export
from boxest.cli.new import new
from boxest.cli.predict import predict
from boxest.cli.score import score
from boxest.cli.status import status
from boxest.cli.tensorboard import tensorboard
from boxest.cli.train import train
from boxest.system.garbage import spare_this_process

# Errors that are addressed to the user. Any other error is a bug, and shows its traceback.
FOR_USERS = (ValueError, TypeError, OSError, ImportError, RuntimeError, MemoryError)
FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130


class _Command(click.Group):
    """A group of commands that print each error as one line."""

    shows_traceback = False

    def main(self, *args: Any, **options: Any) -> NoReturn:
        """Run the command and exit with its status."""
        spare_this_process()
        # The names of files may have letters that a terminal or a file of output lacks.
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = _show_warning
            sys.exit(self._run(*args, **options))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a user needs them."""
        return list(self.commands)

    def _run(self, *args: Any, **options: Any) -> int:
        try:
            return super().main(*args, **options | {"standalone_mode": False}) or 0
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx else "boxest"
            _say(f"{error.format_message().rstrip('.')}. See {where} --help.")
            return WRONG_USAGE
        except (click.Abort, KeyboardInterrupt):
            _say("interrupted.")
            return INTERRUPTED
        except FOR_USERS as error:
            if self.shows_traceback:
                traceback.print_exc()
            _say(_text(error))
            return FAILED


@click.group(cls=_Command, invoke_without_command=True)
@click.version_option(package.__version__, message="boxest %(version)s")
@click.option("--traceback", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def boxest(context: click.Context, traceback: bool) -> None:
    """Find the one object in an image; study batch size and learning rate.

    Exit status: 0 for success, 1 for an error, 2 for incorrect usage.
    """
    boxest.shows_traceback = traceback
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(WRONG_USAGE)


for command in (new, convert, train, predict, score, status, export, tensorboard):
    boxest.add_command(command)


def _text(error: Exception) -> str:
    """Return the message of an error; for the operating system's, without the number."""
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    return str(error) or type(error).__name__


def _say(message: str) -> None:
    """Print a message as one line."""
    click.echo(" ".join(f"boxest: {message}".split()), err=True)


def _show_warning(message: Warning, *_: object, **__: object) -> None:
    _say(f"warning: {message}")
