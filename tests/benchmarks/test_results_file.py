"""Results are whole or not there; a user's mistake and a wrong core have exit codes of their own."""

from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

from benchmarks.results_file import errors_to_exit_codes, read_results, require_results, write_results
from sim.build_cache import BenchError
from sw_model.errors import UserError


class Figures(BaseModel):
    cycles: int


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    assert read_results(path, Figures) is None
    for cycles in (1, 2):
        write_results(Figures(cycles=cycles), path)
        assert require_results(path, Figures) == Figures(cycles=cycles)
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]
    (tmp_path / "any").touch()
    assert path.stat().st_mode == (tmp_path / "any").stat().st_mode


def test_missing_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist; measure first"):
        require_results(tmp_path / "none.json", Figures, "measure first")


@pytest.mark.parametrize("text", ['{"cycles"', '{"cycles": "many"}', "\xff"])
def test_damaged_results_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"is wrong at .*; move it away, and measure again"):
        read_results(path, Figures)


@pytest.mark.parametrize(("error", "code"), [(UserError("lanes=0", "is not positive", "use 1"), 2), (BenchError("logit 3 differs"), 1)])
def test_errors_have_exit_codes(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as raised, errors_to_exit_codes():
        raise error
    assert raised.value.exit_code == code
    assert f"error: {error}" in capsys.readouterr().err
