"""Where a command's words go: results to stdout, everything said on the way to stderr."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

#: For progress and remarks. Results never go here, so that ``--json`` output can be piped.
progress_console = Console(stderr=True)


class CheckFailedError(Exception):
    """A check that the command is there to make has failed; the message is one line. The exit code is 1."""


def print_json(value: Any) -> None:
    """Write one JSON document to stdout."""
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


def progress_bar() -> Progress:
    """Make a progress bar on stderr: task, bar, count, elapsed time."""
    columns = (_description(), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return _progress(*columns)


@contextmanager
def working(description: str) -> Iterator[None]:
    """Show on stderr that something of unknown length goes on, and for how long."""
    columns = (SpinnerColumn(), _description(), TimeElapsedColumn())
    with _progress(*columns) as progress:
        progress.add_task(description, total=None)
        yield


def _description() -> TextColumn:
    return TextColumn("{task.description}", markup=False)  # it may name a folder


def _progress(*columns: ProgressColumn) -> Progress:
    # What moves is for terminals; a log would only get blank lines from it.
    return Progress(*columns, console=progress_console, transient=True, disable=not progress_console.is_terminal)


@contextmanager
def words_to_stderr() -> Iterator[None]:
    """Send what libraries print in the block to stderr: stdout is for results."""
    with redirect_stdout(sys.stderr):
        yield
