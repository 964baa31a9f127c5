"""Every mistake of a user: exit code 2, one line on stderr that names value, rule and remedy, nothing on stdout, nothing written."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from hls_gen import board
from hls_gen.board import Budget, load_board
from sw_model.random_model import RandomModelSpec, random_model
from tests.egru.conftest import Tiny, egru

LOOP_BACK = Path(__file__).parent / "data" / "loop_back"
MANIFEST, TENSORS = "manifest.json", "tensors.safetensors"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """Run a command that must be refused; return its one line."""

    def run(*arguments: object) -> str:
        before = tree(tmp_path)
        done = egru(*arguments)
        assert done.code == 2, done
        assert done.out == ""
        assert done.err.startswith("error: ")
        assert done.err.count("\n") == 1
        assert "; " in done.err  # what comes after it is the remedy
        assert tree(tmp_path) == before
        return done.err

    return run


def change_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    """Alter tensors and write a hash that fits, as no accident would."""
    tensors = safetensors.torch.load((folder / TENSORS).read_bytes())
    change(tensors)
    data = safetensors.torch.save(tensors)
    (folder / TENSORS).write_bytes(data)
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"tensors_sha256": hashlib.sha256(data).hexdigest()}))
    return folder


def copied(source: Path, folder: Path) -> Path:
    shutil.copytree(source, folder)
    return folder


# A missing artifact


@pytest.mark.parametrize("command", ["prune", "export", "evaluate", "generate", "simulate", "build"])
def test_a_missing_artifact(refused: Callable[..., str], tmp_path: Path, command: str) -> None:
    out = () if command == "evaluate" else ("--out", tmp_path / "out")
    line = refused(command, tmp_path / "absent", *out)
    assert str(tmp_path / "absent") in line
    assert "does not exist; " in line or "holds no" in line


def test_a_model_of_features_that_does_not_say_of_which(refused: Callable[..., str], tmp_path: Path) -> None:
    random_model(RandomModelSpec(hidden=(4, 3), features=5, encoding="delta")).save(tmp_path / "model")
    assert "does not name its features and classes" in refused("evaluate", tmp_path / "model")


def test_a_missing_checkpoint_to_go_on_from(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "absent/manifest.json does not exist; " in refused("train", "--from", tmp_path / "absent", "--out", tmp_path / "out")


# A truncated artifact


@pytest.mark.parametrize("file", [MANIFEST, TENSORS])
@pytest.mark.parametrize(
    ("command", "artifact"), [("prune", "dense"), ("export", "quantised"), ("evaluate", "model"), ("generate", "model")]
)
def test_a_truncated_artifact(refused: Callable[..., str], tiny: Tiny, tmp_path: Path, command: str, artifact: str, file: str) -> None:
    folder = copied(getattr(tiny, artifact), tmp_path / "artifact")
    (folder / file).write_bytes((folder / file).read_bytes()[:-100])
    out = () if command == "evaluate" else ("--out", tmp_path / "out")
    line = refused(command, folder, *out)
    assert str(folder / file) in line
    assert "truncated" in line or "is not valid JSON" in line or "is wrong at" in line


@pytest.mark.parametrize("file", ["hardware.json", "model/manifest.json", "model/tensors.safetensors"])
def test_a_truncated_generated_folder(refused: Callable[..., str], tiny: Tiny, tmp_path: Path, file: str) -> None:
    folder = copied(tiny.rtl, tmp_path / "rtl")
    (folder / file).write_bytes((folder / file).read_bytes()[:-100])
    assert str(folder / file) in refused("simulate", folder, "--out", tmp_path / "out")


def test_a_generated_folder_with_another_model(refused: Callable[..., str], tiny: Tiny, tmp_path: Path) -> None:
    folder = copied(tiny.rtl, tmp_path / "rtl")
    manifest = json.loads((folder / "model" / MANIFEST).read_text())
    manifest["decoder"]["weight_frac"] += 1
    (folder / "model" / MANIFEST).write_text(json.dumps(manifest))
    assert "belongs to another model than" in refused("simulate", folder, "--out", tmp_path / "out")


# Shapes that disagree, and values that are no numbers


@pytest.mark.parametrize("command", ["prune", "export", "evaluate"])
def test_shapes_that_disagree_in_a_checkpoint(refused: Callable[..., str], tiny: Tiny, tmp_path: Path, command: str) -> None:
    def cut(tensors: dict[str, torch.Tensor]) -> None:
        tensors["parameter.decoder_weight"] = tensors["parameter.decoder_weight"][:, :-1].contiguous()

    folder = change_tensors(copied(tiny.quantised, tmp_path / "checkpoint"), cut)
    out = () if command == "evaluate" else ("--out", tmp_path / "out")
    line = refused(command, folder, *out)
    assert "tensor decoder_weight of shape (" in line
    assert "disagrees with the expected (" in line


@pytest.mark.parametrize("command", ["evaluate", "generate"])
def test_shapes_that_disagree_in_a_model(refused: Callable[..., str], tiny: Tiny, tmp_path: Path, command: str) -> None:
    folder = copied(tiny.model, tmp_path / "model")
    tensors = safetensors.numpy.load((folder / TENSORS).read_bytes())
    tensors["layers.1.input_weight"] = np.ascontiguousarray(tensors["layers.1.input_weight"][:, :, :-1])
    data = safetensors.numpy.save(tensors)
    (folder / TENSORS).write_bytes(data)
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"tensors_sha256": hashlib.sha256(data).hexdigest()}))
    out = () if command == "evaluate" else ("--out", tmp_path / "out")
    assert "layers.1.input_weight of shape (3, 5, 5) disagrees with the expected (3, 5, 6); " in refused(command, folder, *out)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("command", ["prune", "export", "evaluate"])
def test_a_weight_that_is_no_number(refused: Callable[..., str], tiny: Tiny, tmp_path: Path, command: str, value: float) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        tensors["parameter.decoder_weight"][0, 0] = value

    folder = change_tensors(copied(tiny.quantised, tmp_path / "checkpoint"), spoil)
    out = () if command == "evaluate" else ("--out", tmp_path / "out")
    assert "tensor decoder_weight holds NaN or Inf; train again" in refused(command, folder, *out)


# The board


@pytest.mark.parametrize("command", ["build", "demo"])
def test_an_unknown_board(refused: Callable[..., str], tiny: Tiny, tmp_path: Path, command: str) -> None:
    first = ("build", LOOP_BACK) if command == "build" else ("demo", "--config", tiny.config)
    line = refused(*first, "--board", "ulx4s", "--out", tmp_path / "out")
    assert "board 'ulx4s' is not known; known boards: " in line
    assert "ulx3s_85f" in line


def test_a_model_larger_than_the_board_is_refused_before_place_and_route(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = load_board("ulx3s_85f").model_copy(update={"budget": Budget(lut=83_640, ff=100, bram=208, dsp=156)})
    monkeypatch.setattr(board, "load_board", lambda name: small)
    monkeypatch.setattr("egru.place_and_route.place_and_route_step", lambda *arguments: pytest.fail("was placed"))
    line = refused("build", LOOP_BACK, "--out", tmp_path / "out")
    assert "the design needs " in line
    assert " ff but board ulx3s_85f has 100; use fewer lanes" in line


# An output folder that holds results


@pytest.mark.parametrize("command", ["train", "prune", "export", "generate", "simulate", "build", "demo"])
def test_an_output_folder_that_holds_results(refused: Callable[..., str], tiny: Tiny, tmp_path: Path, command: str) -> None:
    inputs = {"prune": tiny.dense, "export": tiny.quantised, "generate": tiny.model, "simulate": tiny.rtl, "build": LOOP_BACK}
    artifact = (inputs[command],) if command in inputs else ()
    config = () if command in ("export", "build") else ("--config", tiny.config)
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious").write_text("results")
    line = refused(command, *artifact, *config, "--out", out)
    assert f"output folder {out} already holds results; give another --out, or --force" in line


@pytest.mark.parametrize("command", ["train", "demo", "generate"])
def test_an_output_folder_that_is_a_file(refused: Callable[..., str], tiny: Tiny, tmp_path: Path, command: str) -> None:
    (tmp_path / "out").write_text("a file")
    artifact = (tiny.model,) if command == "generate" else ()
    assert "is a file; give another --out" in refused(command, *artifact, "--config", tiny.config, "--out", tmp_path / "out")


# The configuration


@pytest.mark.parametrize("command", ["train", "prune", "generate", "simulate", "demo"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[dense]\nsteps = 3\nlerning_rate = 0.1\n", "key 'dense.lerning_rate' in {path} is not known; did you mean 'learning_rate'?"),
        ("[hardwear]\nlanes = 4\n", "key 'hardwear' in {path} is not known; did you mean 'hardware'?"),
        ("[simulation]\nsteps = 0\n", "key 'simulation.steps' = 0 in {path} is not accepted: input should be greater than or equal to 1; "),
        ("[build]\nseeds = [1, 1]\n", "in {path} is not accepted: value error, a seed occurs twice; "),
        ("[dense\n", "file {path} is not valid TOML: "),
    ],
)
def test_a_configuration_with_a_mistake(
    refused: Callable[..., str], tiny: Tiny, tmp_path: Path, command: str, text: str, expected: str
) -> None:
    path = tmp_path / "my.toml"
    path.write_text(text)
    inputs = {"prune": tiny.dense, "generate": tiny.model, "simulate": tiny.rtl}
    artifact = (inputs[command],) if command in inputs else ()
    assert expected.format(path=path) in refused(command, *artifact, "--config", path, "--out", tmp_path / "out")


# Values on the command line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("train", "--steps", 0), "key 'dense.steps' = 0 in the command line is not accepted"),
        (("train", "--data", "absent.txt"), "text file absent.txt does not exist; "),
        (("train", "--quantise"), "--quantise needs a trained network; give --from CHECKPOINT"),
        (("train", "--weight-bits", 4), "--weight-bits 4 has no meaning for float weights; "),
        (
            ("train", "--from", "{dense}", "--data", "pydoc-topics"),
            "has another vocabulary than the network, which was trained on text.txt; ",
        ),
        (("prune", "{dense}", "--sparsity", 1.5), "key 'prune.pruning.sparsity' = 1.5 in the command line is not accepted"),
        (("prune", "{dense}", "--method", "column-balanced"), "method='column-balanced' needs lanes; "),
        (("prune", "{dense}", "--method", "column-balanced", "--lanes", "x"), "--lanes x is neither a number nor numbers with commas; "),
        (
            ("prune", "{dense}", "--data", "{text}", "--method", "column-balanced", "--lanes", "7"),
            "lanes=7 of layer 0 exceeds its 6 rows; use 1 to 6",
        ),
        (
            ("prune", "{dense}", "--data", "{text}", "--method", "column-balanced", "--lanes", "2,2"),
            "has 2 numbers for 2 layers and a decoder; give one number or 3",
        ),
        (("prune", "{dense}", "--lanes", "2"), "lanes=2 belongs to method='column-balanced', not to method='global': leave it out; "),
        (("prune", "{dense}", "--method", "n-m", "--n-of-m", "1/4"), "--n-of-m 1/4 is not two numbers with a colon; give e.g. 1:8"),
        (("prune", "{dense}", "--method", "n-m", "--n-of-m", "4:1"), "n_of_m=[4, 1] must be 1 <= N < M <= 64; "),
        (
            ("prune", "{dense}", "--method", "n-m", "--n-of-m", "1:4", "--sparsity", 0.9),
            "sparsity=0.9 disagrees with n_of_m=[1, 4], which gives 0.75; ",
        ),
        (("export", "{dense}"), "is not quantised; "),
        (("generate", "{model}", "--lanes", "x"), "--lanes x is neither a number nor numbers with commas; give e.g. 16 or 8,16,4"),
        (("generate", "{model}", "--lanes", "2,2"), "has 2 numbers for 3 blocks (layer0, layer1, decoder); give one number or 3"),
        (("generate", "{model}", "--lanes", "7"), "lanes=7 of layer0 is outside 1 to 6 (6 rows); choose 1 to 6"),
        (("generate", "{model}", "--queue-depth", 1), "key 'hardware.queue_depth' = 1 in the command line is not accepted"),
        (("generate", "{dense}"), "is wrong at "),
        (("simulate", "{rtl}", "--steps", 100000, "--data", "{text}"), "steps=100000 exceeds the "),
        (("simulate", "{rtl}", "--steps", 2, "--sequences", 3), "sequences=3 exceeds steps=2; use at most 2"),
        (("simulate", "{rtl}", "--data", "pydoc-topics"), "has another vocabulary than the network, which was trained on text.txt; "),
    ],
)
def test_a_value_that_will_not_do(
    refused: Callable[..., str], tiny: Tiny, tmp_path: Path, arguments: tuple[object, ...], expected: str
) -> None:
    filled = [str(argument).format(**vars(tiny)) for argument in arguments]
    assert expected in refused(*filled, "--out", tmp_path / "out")


@pytest.mark.parametrize(
    "arguments",
    [
        ("generate", "model", "--backend", "vhdl"),
        ("evaluate", "model", "--split", "tset"),
        ("simulate", "rtl", "--idle", "lazy"),
        ("prune", "dense", "--method", "random"),
        ("train", "--nope"),
    ],
)
def test_words_that_are_not_on_the_list(arguments: tuple[str, ...]) -> None:
    done = egru(*arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


# What the demo looks at before it trains


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("lanes = [2, 2, 1]", "lanes = [2, 2]"), "has 2 numbers for 3 blocks (layer0, layer1, decoder); "),
        (("lanes = [2, 2, 1]", "lanes = 7"), "lanes=7 of layer0 is outside 1 to 6"),
        (("quantization = { weight_bits = 4, decoder_bits = 4 }", ""), "table [qat] has no quantization, so nothing could be exported; "),
        (("[build]", "[build]\nclock_mhz = 900.0"), "clock 900 MHz "),
        (("steps = 40", "steps = 400000"), "steps=400000 exceeds the "),
    ],
)
def test_the_demo_refuses_before_training(
    refused: Callable[..., str], tiny: Tiny, tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    path = tmp_path / "my.toml"
    path.write_text(tiny.config.read_text().replace(*change))
    assert expected in refused("demo", "--config", path, "--out", tmp_path / "out")


def test_the_demo_refuses_where_a_tool_is_missing(
    refused: Callable[..., str], tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **more: None if name == "perl" else which(name, **more))
    line = refused("demo", "--config", tiny.config, "--out", tmp_path / "out")
    assert "tool perl is missing or cannot be used; sudo apt-get install perl" in line


def test_the_demo_resumes_only_what_it_began(refused: Callable[..., str], tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert "holds no unfinished demo; leave out --resume" in refused("demo", "--config", tiny.config, "--resume", "--out", tmp_path / "out")
    (tmp_path / "out" / "config.json").write_text("{}")
    line = refused("demo", "--config", tiny.config, "--resume", "--out", tmp_path / "out")
    assert "has another configuration; resume with the same one" in line
