"""The resource model against what yosys makes of the same memories and of a whole core."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from egru.tools import require_script
from hls_gen.board import Budget, Family, Toolchain, load_board
from hls_gen.board_flow import SYNTHESIS, YOSYS, synthesis_resources
from hls_gen.device import DEVICES
from hls_gen.hardware_config import HardwareConfig
from hls_gen.resource_model import (
    MemoryUse,
    Placement,
    ResourceEstimate,
    check_budget,
    estimate_on_board,
    estimate_resources,
    place_ram,
    rom_blocks,
)
from hls_gen.rtl_backend import write
from sw_model.errors import UserError
from sw_model.fixed_point import Formats
from sw_model.random_model import RandomModelSpec, random_model

NARROW = Formats(event_bits=6, state_bits=12, gate_bits=8, preact_bits=10, preact_frac=6)
# Whose options of the synthesis are taken.
BOARDS = {
    Family.ECP5: "ulx3s_85f",
    Family.ICE40UP: "icebreaker",
    Family.GW2A: "tang_nano_20k",
    Family.XC7: "arty_a7_100t",
    Family.XCUP: "kv260",
}
# Cells that are distributed RAM, and the tables that each takes.
TABLES = {"TRELLIS_DPR16X4": 4, "RAM16SDP4": 4, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8}
DISTRIBUTED = tuple(TABLES)
# Only for flip-flops that take a table's place, which are not looked at here.
NO_NETLIST: dict[str, Any] = {"modules": {"egru_board": {"cells": {}, "ports": {}}}}


@pytest.mark.parametrize(
    ("bits", "depth", "blocks"),
    # As yosys 0.70 maps egru_rom with random contents.
    [
        *[(200, 32, 0), (20, 33, 1), (7, 45, 1), (40, 500, 2), (20, 513, 2), (36, 600, 2), (40, 600, 3), (132, 700, 8)],
        *[(36, 1025, 4), (16, 1500, 2), (16, 3000, 4), (1, 20_000, 2), (1, 40_000, 3)],
    ],
)
def test_rom_blocks_are_those_of_the_synthesis(bits: int, depth: int, blocks: int) -> None:
    assert rom_blocks(DEVICES[Family.ECP5], bits, depth) == blocks


@pytest.mark.parametrize(
    ("bits", "depth", "mended", "blocks"),
    # Accumulator banks, then memories whose reads may meet a write, likewise.
    [
        *[(19, 64, False, 0), (19, 80, False, 1), (21, 48, False, 0), (21, 64, False, 1), (32, 32, False, 0), (32, 48, False, 1)],
        *[(25, 768, False, 2), (25, 1200, False, 3), (28, 5400, False, 11)],
        *[(12, 112, True, 0), (12, 128, True, 1), (16, 96, True, 0), (16, 112, True, 1), (18, 80, True, 0), (18, 96, True, 1)],
    ],
)
def test_ram_blocks_are_those_of_the_synthesis(bits: int, depth: int, mended: bool, blocks: int) -> None:
    assert place_ram(DEVICES[Family.ECP5], bits, depth, mended=mended).block_rams == blocks


@pytest.mark.parametrize(
    ("family", "queue"),
    # 20 bits wide, 16 deep: five RAMs of 16x4; none of the iCE40's block RAMs is read without a clock; four RAMs of 32x6; two of 32x14.
    [
        (Family.ECP5, Placement(tables=20)),
        (Family.ICE40UP, Placement(flip_flops=320)),
        (Family.GW1N, Placement(tables=20)),
        (Family.XC7, Placement(tables=16)),
        (Family.XCUP, Placement(tables=16)),
    ],
)
def test_a_queue_goes_where_the_family_has_room_for_it(family: Family, queue: Placement) -> None:
    assert place_ram(DEVICES[family], 20, 16, clocked=False) == queue


def test_contents_that_can_be_exchanged_are_in_block_ram_whatever_their_depth() -> None:
    assert rom_blocks(DEVICES[Family.ECP5], 20, 32) == 0
    assert rom_blocks(DEVICES[Family.ECP5], 20, 32, always=True) == 1
    model = random_model(RandomModelSpec(hidden=(16,), tokens=5, classes=6))
    fixed, swappable = (estimate_resources(model, HardwareConfig(lanes=2, weights=weights)).bram for weights in ("fixed", "swappable"))
    assert swappable > fixed


@pytest.mark.parametrize(
    ("family", "hidden", "formats", "config"),
    [
        # 7 rows a lane and 5 tokens: an address that is a product, not a shift.
        (Family.ECP5, (28,), Formats(), HardwareConfig(lanes=(4, 1), lanes_per_update_unit=2)),
        (Family.ECP5, (16, 16), Formats(), HardwareConfig(engines="shared", lanes=(4, 1), entry_format="gate-group")),
        (Family.GW2A, (28, 24), NARROW, HardwareConfig(lanes=(4, 2, 1), counter_bits=24)),
        (Family.ICE40UP, (20,), NARROW, HardwareConfig(lanes=1, queue_depth=6, counter_bits=16)),
        # 16 bits of an entry in one single-port RAM, 17 in two; no word of them is in block RAM.
        (Family.ICE40UP, (64,), NARROW, HardwareConfig(lanes=(2, 1), queue_depth=6, counter_bits=16, weights="single-port")),
        (Family.ICE40UP, (80,), NARROW, HardwareConfig(lanes=1, queue_depth=6, counter_bits=16, weights="single-port")),
        (Family.XC7, (28,), Formats(), HardwareConfig(lanes=(4, 1), weights="swappable")),
        (Family.XCUP, (16, 16), NARROW, HardwareConfig(engines="shared", lanes=(2, 1))),
    ],
)
def test_a_whole_core_takes_what_the_synthesis_counts(
    family: Family, hidden: tuple[int, ...], formats: Formats, config: HardwareConfig, tmp_path: Path
) -> None:
    model = random_model(RandomModelSpec(hidden=hidden, density=0.5, tokens=5, classes=40, formats=formats))
    write(model, config, tmp_path / "core")
    sources = " ".join(f"rtl/{path.name}" for path in sorted((tmp_path / "core" / "rtl").glob("*.sv")))
    board = load_board(BOARDS[family])
    # Memories and products have their places before all other logic is mapped, which is most of the time.
    synthesis = " ".join((*SYNTHESIS[family], *board.synthesis_flags, "-run", "begin:map_ffram", "-top", "egru_top"))
    script = f"read_verilog -sv -DSYNTHESIS {sources}; {synthesis}; tee -q -o stat.json stat -json"
    subprocess.run([require_script(YOSYS), "-q", "-p", script], cwd=tmp_path / "core", check=True, capture_output=True)
    statistics = json.loads((tmp_path / "core" / "stat.json").read_text())
    cells = synthesis_resources(board.toolchain, statistics, NO_NETLIST)
    found = estimate_resources(model, config, family)
    assert (found.bram, found.dsp, found.spram) == (cells.bram, cells.dsp, cells.spram)
    assert (found.spram > 0) == (config.weights == "single-port")
    assert found.bram == sum(use.block_rams for use in found.memories)
    if board.toolchain is not Toolchain.ICE40:
        tables = {name: count for name, count in statistics["design"]["num_cells_by_type"].items() if name.startswith(DISTRIBUTED)}
        assert sum(use.tables for use in found.memories) == sum(TABLES[name] * count for name, count in tables.items())


def test_the_link_of_a_board_is_counted() -> None:
    model = random_model(RandomModelSpec(hidden=(16,), tokens=5, classes=40))
    board = load_board("ulx3s_85f")
    core, whole = estimate_resources(model, HardwareConfig(lanes=2), board.family), estimate_on_board(model, HardwareConfig(lanes=2), board)
    assert {use.block for use in whole.memories} - {use.block for use in core.memories} == {"link"}
    # The frames, and 40 logits.
    assert whole.bram == core.bram + 2
    assert whole.lut > core.lut
    assert whole.ff > core.ff
    assert estimate_on_board(model, HardwareConfig(lanes=2), load_board("pynq_z2")).bram == core.bram


def test_a_core_that_a_board_cannot_hold_is_refused_by_name() -> None:
    board = load_board("ulx3s_85f").model_copy(update={"budget": Budget(lut=1000, ff=1000, bram=30, dsp=10)})
    memories = (MemoryUse("layer0", "weights", 2, 16, 4096, 40), MemoryUse("layer0", "weights", 1, 16, 2048, 17))
    check_budget(ResourceEstimate(850, 850, 30, 10, memories), board)
    with pytest.raises(
        UserError, match=r"the core needs 61 block RAMs \(57 for the weights of layer0\) but board ulx3s_85f has 30; prune more"
    ):
        check_budget(ResourceEstimate(900, 1, 61, 11, memories), board)
    with pytest.raises(UserError, match=r"the core needs 2 256-kbit single-port RAMs but board ulx3s_85f has 0; use weights=fixed"):
        check_budget(ResourceEstimate(1, 1, 31, 1, (), spram=2), board)
    with pytest.raises(UserError, match=r"the core needs 6 256-kbit single-port RAMs but board icebreaker has 4; use fewer lanes"):
        check_budget(ResourceEstimate(1, 1, 30, 1, (), spram=6), load_board("icebreaker"))
    with pytest.raises(UserError, match=r"but board icebreaker has 30; prune more, .* or weights=single-port"):
        check_budget(ResourceEstimate(1, 1, 61, 1, memories), load_board("icebreaker"))
    with pytest.raises(UserError, match=r"the core needs 40 multipliers but board ulx3s_85f has 10; use fewer lanes"):
        check_budget(ResourceEstimate(1, 1, 61, 40, memories), board)
    with pytest.raises(UserError, match=r"needs 3,000 LUT4 but board ulx3s_85f has 1,000, of which 850 can be filled; use fewer lanes"):
        check_budget(ResourceEstimate(3000, 1, 31, 11, memories), board)
    with pytest.raises(UserError, match=r"needs 900 flip-flops but board ulx3s_85f has 1,000, of which 850 can be filled"):
        check_budget(ResourceEstimate(1, 900, 30, 10, memories), board)
