"""The pruning benchmark in its quick form: every method trains, its figures are kept, and results are written only when whole."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from benchmarks import pruning
from benchmarks.pruning import METHODS, QUICK, BlockCycles, Cycles, Results, Task, Trained, phases, train
from sw_model.datasets import TextDataset, load_text
from sw_model.quantized_model import QuantizedModel


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def dataset() -> TextDataset:
    """The embedded text, cut: evaluation is most of a quick run."""
    text = load_text()
    return TextDataset(text.name, text.unit, text.vocabulary, text.train[:8000], text.valid[:500], text.test[:500])


@pytest.fixture(scope="module")
def trained(work: Path, dataset: TextDataset) -> list[Trained]:
    return [train(method, QUICK, dataset, work, progress=False)[0] for method in METHODS]


def command(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(pruning.run)
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_every_method_is_trained_to_the_same_density(trained: list[Trained]) -> None:
    assert [found.structure.method for found in trained] == list(METHODS)
    for found in trained:
        assert found.weight_density == pytest.approx(1 - QUICK.sparsity, abs=0.01)
        assert found.float_bits < 7
        assert found.quantised_bits < 7


def test_methods_differ_in_pruning_only(trained: list[Trained]) -> None:
    assert len({phases(method, QUICK)[0].model_dump_json() for method in METHODS}) == 1
    assert len({phases(method, QUICK)[1].model_copy(update={"pruning": None}).model_dump_json() for method in METHODS}) == 1
    assert len({phases(method, QUICK)[2].model_dump_json() for method in METHODS}) == 1
    assert len({found.quantised_bits for found in trained}) == len(METHODS)


def test_what_was_trained_is_not_trained_again(
    trained: list[Trained], dataset: TextDataset, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "run_phase", lambda *_, **__: pytest.fail("trained again"))
    assert [train(method, QUICK, dataset, work)[0] for method in METHODS] == trained


def stand_in(trained: Trained, model: QuantizedModel, task: Task, tokens: Sequence[int], work: Path) -> Cycles:
    """A simulation that takes no time."""
    assert len(tokens) == task.simulated
    block = BlockCycles(name="layer0", lanes=2, occupancy=0.5, counters={"macs": model.classes})
    return Cycles(
        hardware={},
        steps=len(tokens),
        mismatches=0,
        values=1,
        cycles_per_step=1234.5,
        dense_cycles_per_step=trained.macs_per_step["dense"],
        occupancy=0.25,
        blocks=[block],
    )


@pytest.mark.usefixtures("trained")
def test_results_are_written_with_all_methods_and_shown_as_a_table(
    work: Path, dataset: TextDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "load_text", lambda: dataset)
    monkeypatch.setattr(pruning, "simulate", stand_in)
    out = tmp_path / "out.json"
    for options in (("--train-only",), ("--only", "layer")):
        assert command("--quick", *options, "--work", work, "--out", out).exit_code == 0
        assert not out.exists()
    assert command("--quick", "--work", work, "--out", out).exit_code == 0
    results = Results.model_validate_json(out.read_text())
    assert [case.trained.structure.method for case in results.cases] == list(METHODS)
    shown = command("--table", "--out", out).stdout.splitlines()
    assert [line.split("|")[1].strip() for line in shown[2:]] == [f"`{method}`" for method in METHODS]
    assert all("| 1,234.5 | 0.25 (0.50) |" in line for line in shown[2:])
    assert {line.count("|") for line in shown} == {9}


def test_an_unknown_method_and_an_absent_result_are_refused_by_name(tmp_path: Path) -> None:
    result = command("--only", "random", "--work", tmp_path)
    assert (result.exit_code, "--only random is no pruning method" in result.stderr) == (2, True)
    result = command("--table", "--out", tmp_path / "out.json")
    assert (result.exit_code, "does not exist; run the benchmark first" in " ".join(result.stderr.split())) == (2, True)
    assert not list(tmp_path.iterdir())


def test_the_documented_table_is_that_of_the_result_file() -> None:
    root = Path(pruning.__file__).resolve().parent.parent
    shown = command("--table", "--out", root / pruning.RESULT_FILE).stdout.strip()
    assert shown.count("\n") == len(METHODS) + 1
    assert shown in (root / "docs" / "pruning.md").read_text()
