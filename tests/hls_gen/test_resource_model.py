"""The resource model against what yosys makes of the same memories and of a whole core."""

import json
import subprocess
from pathlib import Path

import pytest

from egru.place_and_route import YOSYS
from egru.tools import require_script
from hls_gen.board import Budget, load_board
from hls_gen.hardware_config import HardwareConfig
from hls_gen.resource_model import MemoryUse, ResourceEstimate, check_budget, estimate_resources, ram_blocks, rom_blocks
from hls_gen.rtl_backend import write
from sw_model.errors import UserError
from sw_model.random_model import RandomModelSpec, random_model


@pytest.mark.parametrize(
    ("bits", "depth", "blocks"),
    # As yosys 0.70 maps egru_rom with random contents.
    [
        *[(200, 32, 0), (20, 33, 1), (7, 45, 1), (40, 500, 2), (20, 513, 2), (36, 600, 2), (40, 600, 3), (132, 700, 8)],
        *[(36, 1025, 4), (16, 1500, 2), (16, 3000, 4), (1, 20_000, 2), (1, 40_000, 3)],
    ],
)
def test_rom_blocks_are_those_of_the_synthesis(bits: int, depth: int, blocks: int) -> None:
    assert rom_blocks(bits, depth) == blocks


@pytest.mark.parametrize(
    ("bits", "depth", "mended", "blocks"),
    # Accumulator banks, then state memories, likewise.
    [
        *[(19, 64, False, 0), (19, 80, False, 1), (21, 48, False, 0), (21, 64, False, 1), (32, 32, False, 0), (32, 48, False, 1)],
        *[(25, 768, False, 2), (25, 1200, False, 3), (28, 5400, False, 11)],
        *[(12, 112, True, 0), (12, 128, True, 1), (16, 96, True, 0), (16, 112, True, 1), (18, 80, True, 0), (18, 96, True, 1)],
    ],
)
def test_ram_blocks_are_those_of_the_synthesis(bits: int, depth: int, mended: bool, blocks: int) -> None:
    assert ram_blocks(bits, depth, mended=mended) == blocks


@pytest.mark.parametrize(
    ("hidden", "config"),
    [
        # 7 rows a lane and 5 tokens: addresses that are products, not shifts.
        ((28,), HardwareConfig(lanes=(4, 1), lanes_per_update_unit=2)),
        ((16, 16), HardwareConfig(engines="shared", lanes=(4, 1), entry_format="gate-group")),
    ],
)
def test_a_whole_core_takes_what_the_synthesis_counts(hidden: tuple[int, ...], config: HardwareConfig, tmp_path: Path) -> None:
    model = random_model(RandomModelSpec(hidden=hidden, density=0.5, tokens=5, classes=40))
    write(model, config, tmp_path / "core")
    sources = " ".join(f"rtl/{path.name}" for path in sorted((tmp_path / "core" / "rtl").glob("*.sv")))
    script = f"read_verilog -sv -DSYNTHESIS {sources}; synth_ecp5 -run begin:map_ffs -top egru_top; tee -q -o stat.json stat -json"
    subprocess.run([require_script(YOSYS), "-q", "-p", script], cwd=tmp_path / "core", check=True, capture_output=True)
    cells = json.loads((tmp_path / "core" / "stat.json").read_text())["design"]["num_cells_by_type"]
    found = estimate_resources(model, config)
    assert found.bram == cells["DP16KD"]
    assert found.dsp == cells["MULT18X18D"]
    assert found.bram == sum(use.block_rams for use in found.memories)


def test_a_core_that_a_board_cannot_hold_is_refused_by_name() -> None:
    board = load_board("ulx3s_85f").model_copy(update={"budget": Budget(lut4=1, ff=1, bram=30, dsp=10)})
    weights = MemoryUse("layer0", "weights", 4, 16, 4096, 57)
    check_budget(ResourceEstimate(30, 10, (weights,)), board)
    with pytest.raises(
        UserError, match=r"the core needs 61 block RAMs \(57 for the weights of layer0\) but board ulx3s_85f has 30; prune more"
    ):
        check_budget(ResourceEstimate(61, 11, (weights,)), board)
    with pytest.raises(UserError, match=r"the core needs 40 multipliers but board ulx3s_85f has 10; use fewer lanes"):
        check_budget(ResourceEstimate(61, 40, (weights,)), board)
