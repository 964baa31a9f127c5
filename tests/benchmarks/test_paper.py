"""Collecting runs of language models: a small random model stands for a trained one, a few sentences for the text."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from benchmarks import paper
from benchmarks.paper import CURVE_POINTS, thinned
from benchmarks.paper_figures import FIGURES, figure_file
from benchmarks.paper_report import page
from benchmarks.paper_results import CurvePoint, Results, Run
from egru.measure import ModelMeasurement, measure_model
from sw_model.datasets import load_text
from sw_model.evaluate import deal, evaluate_model
from sw_model.macs import count_events, count_macs
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "that", "dog", "run", "by", "it", "then"]
HIDDEN = (12, 8)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text in the layout of Penn Treebank, whose words all come up in training."""
    folder = tmp_path_factory.mktemp("data")
    text = "".join(f"{' '.join(WORDS[(3 * line + i) % len(WORDS)] for i in range(9))}\n" for line in range(40))
    (folder / "ptb").mkdir()
    for split in ("train", "valid", "test"):
        (folder / "ptb" / f"ptb.{split}.txt").write_text(text)
    return folder


@pytest.fixture(scope="module")
def model(data: Path) -> QuantizedModel:
    return draw_model(data, seed=0)


def draw_model(data: Path, seed: int) -> QuantizedModel:
    words = load_text(data / "ptb", "words").vocabulary
    return replace(random_model(RandomModelSpec(HIDDEN, len(words), len(words), density=0.5, seed=seed)), vocabulary=words)


def record(name: str, **changes: Any) -> dict[str, Any]:
    point = {"validation_perplexity": 20.0, "event_density": [0.2, 0.2], "weight_density": 0.5}
    fields = {
        "name": name,
        "dataset": "ptb",
        "cell": "egru",
        "sparsity": 0.5,
        "weight_bits": 8,
        "weight_decay": 0.1,
        "epochs": 10,
        "steps": 100,
        "seconds": 12.5,
        "gpu": "an accelerator",
        "gpus": 1,
        "seed": 1,
        "recipe": "small",
        "parameters": 1000,
        "validation_perplexity": 20.0,
        "test_perplexity": 21.0,
        "event_density": [0.2, 0.2],
        "weight_density": 0.5,
        "digest": None,
        "curve": [{"epoch": epoch, **point} for epoch in (0, 10)],
    }
    return fields | changes


def write_run(folder: Path, model: QuantizedModel | None = None, **fields: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(record(folder.name, **fields)))
    if model is not None:
        model.save(folder / "model", force=True)
    return folder


def command(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(paper.run)
    return CliRunner().invoke(app, [*map(str, arguments), "--jobs", "1"])


def collected(out: Path) -> dict[str, Run]:
    return {run.name: run for run in Results.model_validate_json(out.read_text()).runs}


def refused(result: Result, *words: str) -> bool:
    said = " ".join(result.stderr.split())
    return result.exit_code == 2 and "Traceback" not in said and all(word in said for word in words)


@pytest.fixture(scope="module")
def test_digest(data: Path, model: QuantizedModel) -> str:
    digest = evaluate_model(model, load_text(data / "ptb", "words").test, digest=True).digest
    assert digest is not None
    return digest


def test_a_quantised_run_is_measured_by_the_integer_reference(data: Path, model: QuantizedModel, test_digest: str, tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "paper.json"
    write_run(runs / "right", model, digest=test_digest)
    write_run(runs / "wrong", model, digest="0" * 64)
    write_run(runs / "unknown", model)
    assert command("--data", data, "--runs", runs, "--out", out).exit_code == 0
    found = collected(out)
    assert [(name, run.integer and run.integer.equals_gpu) for name, run in found.items()] == [
        ("right", True),
        ("unknown", None),
        ("wrong", False),
    ]
    run, tokens = found["right"], load_text(data / "ptb", "words").test
    evaluation = evaluate_model(model, tokens)
    macs = count_macs(model, count_events(model, deal(tokens, 16)[:, :-1]))
    assert run.integer is not None
    assert run.macs_per_token is not None
    assert (run.integer.test_perplexity, run.integer.tokens) == (evaluation.perplexity, evaluation.symbols)
    assert (run.integer.model_hash, run.test_perplexity) == (model.content_hash(), 21.0)
    assert run.activity == list(evaluation.event_density)
    assert run.hidden_sizes == list(HIDDEN)
    assert run.macs_per_token.event_sparse == macs.without_decoder.event_sparse
    assert run.macs_per_token.decoder.event_sparse == macs.decoder.event_sparse
    for layer, counted in zip(run.layers, macs.layers, strict=True):
        assert (layer.dense, layer.weight_sparse, layer.event_sparse) == (counted.dense, counted.weight_sparse, counted.event_sparse)
        assert layer.law_ratio == pytest.approx(layer.event_sparse / (layer.dense * layer.weight_density * layer.event_density))


def test_a_model_is_evaluated_once(data: Path, model: QuantizedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = write_run(tmp_path / "one", model), tmp_path / "paper.json"
    arguments = ("--data", data, "--runs", folder, "--out", out)
    assert command(*arguments).exit_code == 0
    first = collected(out)["one"]
    assert first.integer is not None
    evaluated: list[str] = []

    def counted(model: QuantizedModel, *arguments: Any, **options: Any) -> ModelMeasurement:
        evaluated.append(model.content_hash())
        return measure_model(model, *arguments, **options)

    monkeypatch.setattr(paper, "measure_model", counted)
    write_run(folder, digest=first.integer.digest, seconds=99.0)
    assert command(*arguments).exit_code == 0
    second = collected(out)["one"]
    assert not evaluated
    assert second.seconds == 99.0
    assert second.integer == first.integer.model_copy(update={"equals_gpu": True})
    assert (second.layers, second.macs_per_token) == (first.layers, first.macs_per_token)
    write_run(folder, draw_model(data, seed=1), digest=first.integer.digest)
    assert command(*arguments).exit_code == 0
    third = collected(out)["one"].integer
    assert third is not None
    assert evaluated == [third.model_hash]
    assert third.equals_gpu is False


def test_floats_and_lstms_keep_what_training_measured(data: Path, tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "paper.json"
    write_run(runs / "float", weight_bits=None)
    write_run(runs / "lstm", cell="lstm", weight_bits=None, event_density=[], hidden_sizes=[10, 6])
    write_run(runs / "shapeless", cell="lstm", weight_bits=None, event_density=[])
    result = command("--data", data, "--runs", runs, "--out", out)
    assert result.exit_code == 0
    found = collected(out)
    assert found["float"].macs_per_token is None
    assert (found["float"].perplexity, found["float"].activity) == (21.0, [0.2, 0.2])
    macs = found["lstm"].macs_per_token
    assert macs is not None
    assert macs.dense == macs.weight_sparse == macs.event_sparse == 4 * (10 * 10 + 6 * (10 + 6))
    assert macs.decoder.dense == macs.decoder.event_sparse == 6 * (len(WORDS) + 1)
    assert found["shapeless"].macs_per_token is None
    assert "shapeless: no hidden_sizes" in result.stderr


def test_speed_and_runs_are_kept_beside_each_other_and_reported(data: Path, model: QuantizedModel, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the figures are optional: pip install 'egru-fpga[bench]'")
    out, speed, docs = tmp_path / "paper.json", tmp_path / "speed.json", tmp_path / "docs"
    speed.write_text(json.dumps({"gpu": "x", "batch": 64, "steps": 70, "ours_ms": 4, "qat_ms": 6, "cudnn_lstm_ms": 8}))
    assert command("--speed", speed, "--out", out).exit_code == 0
    write_run(tmp_path / "one", model)
    assert command("--data", data, "--runs", tmp_path / "one", "--out", out, "--report", docs).exit_code == 0
    results = Results.model_validate_json(out.read_text())
    assert results.speed is not None
    assert [run.name for run in results.runs] == ["one"]
    assert (docs / "paper_results.md").read_text() == page(results)
    shown = {figure_file(name) for name, kind in FIGURES.items() if kind.panels(results)}
    assert {file.name for file in docs.iterdir()} == {"paper_results.md", *shown}
    assert len(shown) == 3


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ('{"name": ', "is wrong at the top level"),
        (json.dumps(record("one") | {"seed": "1"}), "is wrong at seed"),
        (json.dumps(record("one") | {"extra": 1}), "is wrong at extra"),
        (json.dumps(record("one") | {"curve": [{}]}), "is wrong at curve.0.epoch"),
        (json.dumps(record("one")).replace("21.0", "Infinity"), "is wrong at test_perplexity"),
    ],
)
def test_a_damaged_record_is_refused_by_name(damage: str, words: str, data: Path, model: QuantizedModel, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "one", model)
    (folder / "run.json").write_text(damage)
    result = command("--data", data, "--runs", tmp_path, "--out", tmp_path / "paper.json")
    assert refused(result, str(folder / "run.json"), words)
    assert not (tmp_path / "paper.json").exists()


def test_what_does_not_fit_together_is_refused(data: Path, model: QuantizedModel, tmp_path: Path) -> None:
    out = tmp_path / "paper.json"
    arguments = ("--data", data, "--out", out, "--runs")
    write_run(tmp_path / "bits" / "run", model, weight_bits=4)
    assert refused(command(*arguments, tmp_path / "bits"), "has other weights than the 4 bits of its run")
    write_run(tmp_path / "nothing" / "run")
    assert refused(command(*arguments, tmp_path / "nothing"), "manifest.json does not exist")
    stranger = random_model(RandomModelSpec(hidden=HIDDEN, tokens=9, classes=9))
    write_run(tmp_path / "text" / "run", stranger)
    assert refused(command(*arguments, tmp_path / "text"), "has another vocabulary")
    assert refused(command(*arguments, tmp_path / "text", "--runs", tmp_path / "nothing"), "run run in", "is in", "as well; rename one")
    assert refused(command(*arguments, data), "holds no run.json")
    assert refused(command("--runs", tmp_path / "text", "--out", out), "give --data FOLDER")
    assert refused(command("--speed", tmp_path / "none.json", "--out", out), "none.json does not exist")
    assert refused(command("--out", out), "asks for nothing")
    assert refused(command("--report", tmp_path / "docs", "--out", out), "paper.json does not exist")
    assert not out.exists()
    assert not (tmp_path / "docs").exists()


def test_a_run_may_be_named_twice(data: Path, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs" / "float", weight_bits=None)
    out = tmp_path / "paper.json"
    assert command("--data", data, "--runs", folder, "--runs", tmp_path / "runs", "--out", out).exit_code == 0
    assert list(collected(out)) == ["float"]


def test_a_curve_keeps_its_ends() -> None:
    points = [CurvePoint(epoch=i, validation_perplexity=1.0, event_density=[], weight_density=1.0) for i in range(1000)]
    epochs = [point.epoch for point in thinned(points)]
    assert (len(epochs), epochs[0], epochs[-1]) == (CURVE_POINTS, 0, 999)
    assert epochs == sorted(set(epochs))
    assert thinned(points[:CURVE_POINTS]) == points[:CURVE_POINTS]
