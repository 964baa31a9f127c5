"""Each command on a tiny text: what it reports, and that what it writes is what the next one reads."""

import json
import shutil
from pathlib import Path
from typing import get_args

import pytest

from egru.commands.simulate import PaceName
from egru.flow_config import DEMO_HARDWARE, BuildConfig, SimulationConfig, load_flow_config
from sim.drivers import Pace
from sw_model import checkpoint
from sw_model.errors import UserError
from sw_model.pruning import density
from sw_model.quantized_model import QuantizedModel
from sw_model.train_config import load_recipe
from tests.egru.conftest import Tiny, egru


def test_train_writes_a_checkpoint_that_its_report_describes(tiny: Tiny, tmp_path: Path) -> None:
    report = egru("train", "--config", tiny.config, "--steps", 3, "--seed", 5, "--out", tmp_path / "out", "--json").json()
    loaded = checkpoint.load(tmp_path / "out")
    assert report["steps"] == 3
    assert report["checkpoint"] == str(tmp_path / "out")
    assert loaded.manifest.metrics["validation_bits"] == report["validation_bits"]
    assert loaded.manifest.training["config"]["seed"] == 5
    assert loaded.manifest.network.hidden_sizes == (6, 5)


def test_train_reads_any_text_in_words(tiny: Tiny, tmp_path: Path) -> None:
    text = tmp_path / "words.txt"
    text.write_text("one two three two\n" * 200)
    egru("train", "--config", tiny.config, "--data", text, "--unit", "words", "--steps", 1, "--out", tmp_path / "out", "--json").json()
    known = checkpoint.load(tmp_path / "out").text()
    assert (known.name, known.unit) == ("words.txt", "words")
    assert set(known.vocabulary) == {"one", "two", "three", "<eos>"}


def test_train_goes_on_from_a_checkpoint_and_replaces_only_when_forced(tiny: Tiny, tmp_path: Path) -> None:
    command = ("train", "--from", tiny.dense, "--config", tiny.config, "--steps", 1, "--out", tmp_path / "out")
    assert egru(*command).code == 0
    assert egru(*command).code == 2
    assert egru(*command, "--force").code == 0
    assert egru(*command, "--resume").code == 0


def test_prune_reaches_the_sparsity_gradually_and_in_one_shot(tiny: Tiny, tmp_path: Path) -> None:
    assert density(checkpoint.load(tiny.pruned).network()) == pytest.approx(0.3, abs=0.01)
    command = (
        "prune",
        tiny.dense,
        "--sparsity",
        0.9,
        "--one-shot",
        "--config",
        tiny.config,
        "--steps",
        2,
        "--out",
        tmp_path / "out",
        "--json",
    )
    assert egru(*command).json()["weight_density"] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    ("options", "structure", "weight_density"),
    [
        (("--method", "layer"), {"method": "layer"}, 0.3),
        (("--method", "column-balanced", "--lanes", "2,1,3"), {"method": "column-balanced", "lanes": [2, 1, 3]}, 0.3),
        # The sparsity follows from it, whatever the file says.
        (("--method", "n-m", "--n-of-m", "1:5"), {"method": "n-m", "n_of_m": [1, 5]}, 0.2),
        (("--method", "gate-group"), {"method": "gate-group"}, 0.3),
    ],
)
def test_prune_takes_every_method(
    tiny: Tiny, tmp_path: Path, options: tuple[str, ...], structure: dict[str, object], weight_density: float
) -> None:
    report = egru("prune", tiny.dense, *options, "--config", tiny.config, "--out", tmp_path / "out", "--json").json()
    pruning = checkpoint.load(tmp_path / "out").manifest.training["config"]["pruning"]
    assert {name: pruning[name] for name in structure} == structure
    assert report["weight_density"] == pytest.approx(weight_density, abs=0.05)


def test_prune_reads_the_method_from_the_configuration(tiny: Tiny, tmp_path: Path) -> None:
    config = tmp_path / "my.toml"
    config.write_text(tiny.config.read_text().replace("sparsity = 0.7,", 'method = "n-m", n_of_m = [1, 4],'))
    report = egru("prune", tiny.dense, "--config", config, "--out", tmp_path / "out", "--json").json()
    assert report["weight_density"] == pytest.approx(0.25, abs=0.03)


def test_quantised_weights_have_the_bits_that_were_asked_for(tiny: Tiny, tmp_path: Path) -> None:
    command = (
        "train",
        "--quantise",
        "--from",
        tiny.pruned,
        "--config",
        tiny.config,
        "--weight-bits",
        3,
        "--out",
        tmp_path / "out",
        "--json",
    )
    egru(*command).json()
    report = egru("export", tmp_path / "out", "--out", tmp_path / "model", "--json").json()
    model = QuantizedModel.load(tmp_path / "model")
    assert report["weight_bits"] == model.layers[1].weight_bits == model.decoder.weight_bits == 3
    assert report["hash"] == model.content_hash()
    assert report["layers"] == [6, 5]


def test_evaluate_gives_a_quantised_checkpoint_and_its_model_the_same_figures(tiny: Tiny) -> None:
    of_model, of_checkpoint = (egru("evaluate", folder, "--data", tiny.text, "--json").json() for folder in (tiny.model, tiny.quantised))
    assert of_model.pop("kind") == "model"
    assert of_checkpoint.pop("kind") == "quantised checkpoint"
    assert of_model == of_checkpoint
    macs = of_model["macs_per_step"]
    assert macs["without_decoder"]["dense"] == 3 * (6 * 6 + 6 * 5 + 5 * 5)
    for group in macs.values():
        assert group["dense"] >= group["weight_sparse"] >= group["event_sparse"]


def test_evaluate_gives_the_same_result_for_any_number_of_jobs_and_digests_it(tiny: Tiny) -> None:
    command = ("evaluate", tiny.model, "--data", tiny.text)
    plain, alone, shared = (egru(*command, *options, "--json").json() for options in ((), ("--digest",), ("--digest", "--jobs", 2)))
    assert alone == shared
    assert plain.pop("digest") is None
    assert len(alone.pop("digest")) == 64
    assert plain == alone
    assert set(plain["macs_per_step"]["decoder"]) == {"dense", "weight_sparse", "event_sparse", "dense_columns", "law_ratio"}


def test_evaluate_measures_a_float_checkpoint_on_any_split(tiny: Tiny) -> None:
    report = egru("evaluate", tiny.dense, "--data", tiny.text, "--split", "valid", "--json").json()
    assert report["kind"] == "float checkpoint"
    assert report["macs_per_step"] is None
    assert report["perplexity"] == pytest.approx(2.0 ** report["bits_per_symbol"])
    assert report["baseline"]["order"] == 6
    refused = egru("evaluate", tiny.dense, "--data", tiny.text, "--digest")
    assert refused.code != 0
    assert "needs integers" in refused.err


def test_generate_takes_lanes_for_all_blocks_or_for_each(tiny: Tiny, tmp_path: Path) -> None:
    for lanes, expected in (("2", [2, 2, 2]), ("3,2,1", [3, 2, 1])):
        report = egru("generate", tiny.model, "--lanes", lanes, "--queue-depth", 9, "--out", tmp_path / lanes, "--json").json()
        assert [block["lanes"] for block in report["blocks"]] == expected
        assert report["lanes"] == sum(expected)
        hardware = json.loads((tmp_path / lanes / "hardware.json").read_text())
        assert hardware["config"]["queue_depth"] == 9
        assert hardware["model_hash"] == report["model_hash"] == QuantizedModel.load(tiny.model).content_hash()


@pytest.mark.parametrize("command", ["export", "generate", "evaluate"])
def test_results_are_shown_as_a_table(tiny: Tiny, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    arguments = {
        "export": (tiny.quantised, "--out", tmp_path / "out"),
        "generate": (tiny.model, "--config", tiny.config, "--out", tmp_path / "out"),
        "evaluate": (tiny.model, "--data", tiny.text),
    }
    done = egru(command, *arguments[command])
    assert done.code == 0
    assert {"export": "weight density", "generate": "update units", "evaluate": "6-gram baseline"}[command] in done.out


def test_simulate_proves_held_out_text_with_stalls_and_keeps_its_log(tiny: Tiny, tmp_path: Path) -> None:
    stalls = ("--idle", "light", "--back-pressure", "bursts")
    command = (
        "simulate",
        tiny.rtl,
        "--config",
        tiny.config,
        "--data",
        tiny.text,
        *stalls,
        "--seed",
        3,
        "--out",
        tmp_path / "out",
        "--json",
    )
    report = egru(*command).json()
    assert (report["steps"], report["mismatches"]) == (40, 0)
    assert (report["backend"], report["timing"], report["timed_steps"]) == ("rtl", "measured", 40)
    assert report["events"] > 0
    assert report["values"] == 40 * (2 * (6 + 5) + QuantizedModel.load(tiny.model).classes) + report["values"] % 40
    assert report["stimulus"] == "held-out characters of text.txt"
    assert json.loads((tmp_path / "out" / "simulation.json").read_text()) == report
    assert Path(report["log"]).parent == tmp_path / "out"


def test_simulate_without_the_text_draws_random_tokens_and_says_so(tiny: Tiny, tmp_path: Path) -> None:
    done = egru("simulate", tiny.rtl, "--steps", 5, "--sequences", 1, "--out", tmp_path / "out", "--json")
    assert done.json()["stimulus"] == "random tokens"
    assert done.err == "the model was trained on text.txt: tokens are random unless that text is given with --data\n"


def test_a_mismatch_is_exit_code_1_and_one_line_with_the_saved_case(tiny: Tiny, tmp_path: Path) -> None:
    broken, out = tmp_path / "rtl", tmp_path / "out"
    shutil.copytree(tiny.rtl, broken)
    bias = broken / "mem" / "decoder_bias.mem"
    first, *rest = bias.read_text().splitlines()
    bias.write_text("\n".join([f"{int(first, 16) ^ 1:0{len(first)}x}", *rest, ""]))
    done = egru("simulate", broken, "--steps", 20, "--out", out, "--json")
    assert done.code == 1
    assert done.out == ""
    line = done.err.splitlines()[-1]
    assert line.startswith("check failed: ")
    assert "logit is " in line
    assert f"case saved in {out / 'failure'}" in line
    assert json.loads((out / "failure" / "case.json").read_text())["what"] == "logit"


def test_paces_on_the_command_line_are_those_of_the_drivers() -> None:
    assert set(get_args(PaceName)) == {pace.value for pace in Pace}


def test_the_configuration_is_the_demo_recipe_where_a_table_is_absent(tmp_path: Path) -> None:
    shipped = load_recipe()
    assert load_flow_config().dense == shipped.dense
    path = tmp_path / "my.toml"
    path.write_text("[simulation]\nsteps = 7\nidle = 'heavy'\n[hardware]\nlanes = 3\n")
    config = load_flow_config(path, {"prune.pruning.sparsity": 0.5, "build.board": None})
    assert config.simulation == SimulationConfig(steps=7, idle=Pace.HEAVY)
    assert config.hardware is not None
    assert config.hardware.lanes == 3
    assert config.qat == shipped.qat
    assert config.prune.steps == shipped.prune.steps
    assert config.prune.pruning is not None
    assert config.prune.pruning.sparsity == 0.5
    assert config.build == BuildConfig()
    assert DEMO_HARDWARE.lanes == (2, 4, 1)


def test_a_wrong_override_is_blamed_on_the_command_line_though_there_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text("[simulation]\nsteps = 7\n")
    with pytest.raises(UserError, match=r"key 'simulation\.steps' = 0 in the command line is not accepted"):
        load_flow_config(path, {"simulation.steps": 0})


def test_ctrl_c_within_a_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("egru.commands.doctor.inspect_tools", interrupted)
    done = egru("doctor")
    assert (done.code, done.out, done.err.strip()) == (130, "", "interrupted")
