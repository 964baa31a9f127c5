"""The generated folder: the same input gives the same bytes, it lints clean, it is all there or not at all."""

import json
import random
import re
from pathlib import Path

import numpy as np
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
        # the sources name the whole memory; egru_rom adds slice and suffix
        assert f'"mem/{image.stem}"' in sources
    assert not re.search(r"\{\{ |\{%", sources), "a template mark was left unfilled"


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(MODEL, CONFIG, tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) > 40
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


@pytest.mark.parametrize(
    ("hidden", "config"),
    [
        ((5,), HardwareConfig(lanes=1)),
        ((12, 10), HardwareConfig(lanes=(4, 2, 3))),
        ((8, 8, 8), HardwareConfig(lanes=4, entry_format="gate-group", packing="interleaved")),
        ((12, 10), HardwareConfig(lanes=(3, 2), engines="shared")),
        ((8, 9, 8), HardwareConfig(lanes=(8, 1), engines="shared", entry_format="gate-group", lanes_per_update_unit=8)),
    ],
)
def test_generated_code_lints_clean(tmp_path: Path, hidden: tuple[int, ...], config: HardwareConfig) -> None:
    write(random_model(RandomModelSpec(hidden=hidden, classes=6, tokens=3)), config, tmp_path / "out")
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


def test_hardware_json_says_where_every_neuron_is(tmp_path: Path) -> None:
    config = HardwareConfig(lanes=(4, 3), engines="shared", entry_format="gate-group", packing="interleaved")
    write(MODEL, config, tmp_path / "out")
    hardware = json.loads((tmp_path / "out" / "hardware.json").read_text())
    assert hardware["version"] == 2
    assert HardwareConfig.model_validate(hardware["config"]) == config
    engine, decoder = hardware["blocks"]
    assert (engine["name"], engine["layers"], decoder["layers"]) == ("layers", [0, 1], [])
    assert [len(part) for part in engine["physical_index"]] == [12, 10]
    assert len({place for part in engine["physical_index"] for place in part}) == 22
    assert max(max(part) for part in engine["physical_index"]) < engine["lanes"] * engine["rows"]
    assert len(decoder["physical_index"][0]) == MODEL.classes


def test_the_input_memory_has_a_row_per_token_for_the_first_layer_only() -> None:
    generated = generate(MODEL, HardwareConfig(lanes=(4, 3), engines="shared"))
    engine = generated.plan.engines[0]
    (image,) = [image for image in generated.memories if image.name == "layers_unit0_input"]
    first, second = (part.packing.rows for part in engine.parts)
    assert len(image.words) == MODEL.tokens * 4 * first + 4 * second
    bits, table = MODEL.formats.preact_bits, MODEL.input_table()
    mask = (1 << bits) - 1

    def codes(values: np.ndarray) -> list[int]:
        return [int(z) & mask | (int(r) & mask) << bits | (int(g) & mask) << 2 * bits for z, r, g in values.T]

    for token in range(MODEL.tokens):
        packing = engine.parts[0].packing
        places = token * 4 * first + packing.lane_of * first + packing.row_of
        assert [image.words[place] for place in places] == codes(table[token])
    packing = engine.parts[1].packing
    places = MODEL.tokens * 4 * first + packing.lane_of * second + packing.row_of
    assert [image.words[place] for place in places] == codes(MODEL.layers[1].bias)


def test_every_accumulator_width_is_used() -> None:
    generated = generate(MODEL, CONFIG)
    for block in generated.plan.blocks:
        assert re.search(rf"AccBits\s*= {block.acc_bits};", generated.sources[f"egru_{block.name}.sv"])


def test_memory_images() -> None:
    assert MemoryImage("m", 5, (0, 31)).files() == {"m.mem": "00\n1f\n"}
    assert unsigned(MODEL.tanh_table[:1], 13) == [int(MODEL.tanh_table[0]) + (1 << 13)]
    assert concatenate_fields([MODEL.layers[0].threshold[:1] * 0 + 1, MODEL.layers[0].threshold[:1] * 0 - 1], 4) == [0xF1]
    with pytest.raises(ValueError, match="outside 3 bits"):
        MemoryImage("m", 3, (8,))
    with pytest.raises(ValueError, match="outside 3 bits"):
        MemoryImage("m", 3, (-1,))
    with pytest.raises(ValueError, match="no words"):
        MemoryImage("m", 3, ())


@pytest.mark.parametrize(
    ("depth", "bits", "widths"),
    [
        (1024, 40, [40]),
        (1025, 9, [9]),
        (1025, 10, [9, 1]),
        (2048, 40, [9, 9, 9, 9, 4]),
        (2049, 7, [4, 3]),
        (4096, 13, [4, 4, 4, 1]),
        (4097, 5, [2, 2, 1]),
        (8192, 2, [2]),
        (8193, 18, [1] * 18),
    ],
)
def test_a_deep_memory_is_cut_into_slices_of_bits(depth: int, bits: int, widths: list[int]) -> None:
    rng = random.Random(depth)
    words = tuple(rng.getrandbits(bits) for _ in range(depth))
    files = MemoryImage("deep", bits, words).files()
    names = ["deep.mem"] if len(widths) == 1 else [f"deep_{index:02x}.mem" for index in range(len(widths))]
    assert list(files) == names
    joined, low = [0] * depth, 0
    for name, width in zip(names, widths, strict=True):
        part = [int(line, 16) for line in files[name].splitlines()]
        assert max(part) >> width == 0
        joined = [word | value << low for word, value in zip(joined, part, strict=True)]
        low += width
    assert joined == list(words)


def test_templates_are_strict(tmp_path: Path) -> None:
    (tmp_path / "t.sv.j2").write_text("localparam A = {{ missing | sv }};\n")
    with pytest.raises(Exception, match="'missing' is undefined"):
        render("t.sv.j2", tmp_path)
    with pytest.raises(ValueError, match="cannot be a SystemVerilog string"):
        sv_literal('a"b')
