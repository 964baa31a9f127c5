"""The generated folder: the same input gives the same bytes, it lints clean, it is all there or not at all."""

import json
import re
from pathlib import Path

import pytest

from hls_gen.hardware_config import HardwareConfig
from hls_gen.memory_image import MemoryImage, concatenate_fields, unsigned
from hls_gen.render import render, sv_literal
from hls_gen.rtl_backend import generate, write
from sim.runner import lint
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model

MODEL = random_model(RandomModelSpec(hidden=(12, 10), classes=9, tokens=7))
CONFIG = HardwareConfig(lanes=(4, 2, 3))


def test_the_folder_is_complete(tmp_path: Path) -> None:
    write(MODEL, CONFIG, tmp_path / "out")
    hardware = json.loads((tmp_path / "out" / "hardware.json").read_text())
    assert hardware["model_hash"] == QuantizedModel.load(tmp_path / "out" / "model").content_hash()
    assert [block["name"] for block in hardware["blocks"]] == ["layer0", "layer1", "decoder"]
    sources = "".join(path.read_text() for path in (tmp_path / "out" / "rtl").glob("egru_*.sv"))
    for image in (tmp_path / "out" / "mem").iterdir():
        assert f'"mem/{image.name}"' in sources
    assert not re.search(r"\{\{ |\{%", sources), "a template mark was left unfilled"


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(MODEL, CONFIG, tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) > 40
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


@pytest.mark.parametrize(("hidden", "lanes"), [((5,), 1), ((12, 10), (4, 2, 3)), ((8, 8, 8), 4)])
def test_generated_code_lints_clean(tmp_path: Path, hidden: tuple[int, ...], lanes: int | tuple[int, ...]) -> None:
    write(random_model(RandomModelSpec(hidden=hidden, classes=6, tokens=3)), HardwareConfig(lanes=lanes), tmp_path / "out")
    assert lint(sorted((tmp_path / "out" / "rtl").glob("*.sv")), "egru_top", library=None) == []


def test_results_are_not_overwritten(tmp_path: Path) -> None:
    write(MODEL, CONFIG, tmp_path / "out")
    with pytest.raises(UserError, match="already holds results"):
        write(MODEL, CONFIG, tmp_path / "out")
    write(MODEL, CONFIG, tmp_path / "out", force=True)


def test_a_refused_configuration_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        write(MODEL, HardwareConfig(lanes=99), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_every_accumulator_width_is_used() -> None:
    generated = generate(MODEL, CONFIG)
    for block in generated.plan.blocks:
        assert f"AccBits      = {block.acc_bits};" in generated.sources[f"egru_{block.name}.sv"].replace("AccBits   =", "AccBits      =")


def test_memory_images() -> None:
    assert MemoryImage("m", 5, (0, 31)).text() == "00\n1f\n"
    assert unsigned(MODEL.tanh_table[:1], 13) == [int(MODEL.tanh_table[0]) + (1 << 13)]
    assert concatenate_fields([MODEL.layers[0].threshold[:1] * 0 + 1, MODEL.layers[0].threshold[:1] * 0 - 1], 4) == [0xF1]
    with pytest.raises(ValueError, match="outside 3 bits"):
        MemoryImage("m", 3, (8,))
    with pytest.raises(ValueError, match="no words"):
        MemoryImage("m", 3, ())


def test_templates_are_strict(tmp_path: Path) -> None:
    (tmp_path / "t.sv.j2").write_text("localparam A = {{ missing | sv }};\n")
    with pytest.raises(Exception, match="'missing' is undefined"):
        render("t.sv.j2", tmp_path)
    with pytest.raises(ValueError, match="cannot be a SystemVerilog string"):
        sv_literal('a"b')
