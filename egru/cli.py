"""The command `egru`. Every command lives in `egru.commands`; here stand the frame and the one place that turns errors into exit codes."""

import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from egru import __version__
from egru.commands.boards import boards
from egru.commands.build import build
from egru.commands.data import data
from egru.commands.demo import demo
from egru.commands.doctor import doctor
from egru.commands.estimate import estimate
from egru.commands.evaluate import evaluate
from egru.commands.export import export
from egru.commands.fuzz import fuzz
from egru.commands.generate import generate
from egru.commands.listen import listen
from egru.commands.prune import prune
from egru.commands.report import report
from egru.commands.run import run
from egru.commands.simulate import simulate
from egru.commands.swap import swap
from egru.commands.sweep import sweep
from egru.commands.train import train
from egru.commands.verify import verify
from egru.output import CheckFailedError
from sw_model.errors import UserError

CHECK_FAILED = 1
USER_ERROR = 2
INTERRUPTED = 130

app = typer.Typer(
    help="From a trained event-based GRU to a verified FPGA accelerator.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# In the order in which a user meets them; this is also the order of `egru --help`.
MODEL_COMMANDS = (demo, sweep, report, train, prune, export, evaluate)
HARDWARE_COMMANDS = (boards, estimate, generate, verify, simulate, fuzz, build, swap, run, listen, doctor)
for command in MODEL_COMMANDS + HARDWARE_COMMANDS:
    app.command()(command)
app.add_typer(data, name="data")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"egru {__version__}")
        raise typer.Exit


@app.callback()
def frame(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)] = False,
) -> None:
    """From a trained event-based GRU to a verified FPGA accelerator."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The command line without the program's name; None for the process's own.

    Returns:
        The exit code: 0 for success, 1 when a command reports a failed check, 2 for a mistake of the user (one line on stderr), 130 after
        Ctrl-C or SIGTERM.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # a folder's name may be no text, or hold signs that a terminal does not know
        sys.stdout.reconfigure(errors="backslashreplace")
    # Without this a SIGTERM would leave half-written folders and running tools behind.
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        result = app(args=arguments, prog_name="egru", standalone_mode=False)
    except UserError as error:
        return _fail(str(error))
    except CheckFailedError as error:
        return _fail(str(error), CHECK_FAILED)
    except typer.TyperException as error:
        return _fail(error.format_message())
    except OSError as error:
        # What is written to an open file, and finds the disk full, names no file.
        where = "" if error.filename is None else f"{error.filename}: "
        return _fail(f"{where}{error.strerror or error}; check the path, its permissions and the free space")
    except MemoryError:
        return _fail("there is not enough memory; give less at once, or use a machine with more")
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, previous)
    if result == INTERRUPTED:  # also what typer makes of a KeyboardInterrupt within a command
        print("interrupted", file=sys.stderr)
    return result if isinstance(result, int) else 0


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _fail(message: str, code: int = USER_ERROR) -> int:
    if message:
        print(f"{'check failed' if code == CHECK_FAILED else 'error'}: {' '.join(message.split())}", file=sys.stderr)
    return code
