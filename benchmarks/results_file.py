"""What every benchmark does with its results and its errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import typer
from pydantic import BaseModel, ValidationError

from egru.output import progress_console
from sim.build_cache import BenchError
from sw_model.errors import UserError
from sw_model.output_folder import write_whole

ResultsT = TypeVar("ResultsT", bound=BaseModel)


def write_results(results: BaseModel, path: Path) -> None:
    """Write ``results`` as the JSON file ``path``."""
    write_whole(path, results.model_dump_json(indent=1) + "\n")


def read_results(path: Path, kind: type[ResultsT], remedy: str = "move it away, and measure again") -> ResultsT | None:
    """Return the results in ``path``, None when there are none.

    Raises:
        UserError: When they are damaged, or of another version.
    """
    if not path.is_file():
        return None
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the top level"
        raise UserError(f"result file {path}", f"is wrong at {where}: {first['msg']}", remedy) from None


def require_results(path: Path, kind: type[ResultsT], remedy: str = "run the benchmark first") -> ResultsT:
    """Return the results in ``path``.

    Raises:
        UserError: When there are none, or see `read_results`.
    """
    found = read_results(path, kind, remedy)
    if found is None:
        raise UserError(f"result file {path}", "does not exist", remedy)
    return found


@contextmanager
def errors_to_exit_codes() -> Iterator[None]:
    """Turn what a user can mend into exit code 2, and a core that differs from the reference into 1, each with one line on stderr."""
    try:
        yield
    except UserError as error:
        _say(error)
        raise typer.Exit(2) from None
    except BenchError as error:
        _say(error)
        raise typer.Exit(1) from None


def _say(error: Exception) -> None:
    progress_console.print(f"error: {error}", soft_wrap=True, markup=False)
