"""egru_rom: the word of two clock edges ago, for every address."""

import random
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from hls_gen.memory_image import MemoryImage
from sim.drivers import start_clock
from sim.runner import BenchResult, Parameter, bench_seed, run_bench

READS = 500


def launch(width: int, depth: int, seed: int = 1) -> BenchResult:
    """Run the bench on random contents."""
    rng = random.Random(seed)
    image = MemoryImage("contents", width, tuple(rng.getrandbits(width) for _ in range(depth)))
    parameters: dict[str, Parameter] = {"Width": width, "Depth": depth, "InitFile": image.file}
    return run_bench("egru_rom", "sim.benches.rom", parameters=parameters, files={image.file: image.text()}, seed=seed)


@cocotb.test()
async def returns_its_contents(dut: Any) -> None:
    """Random addresses without a gap, and every address at least once."""
    rng = random.Random(bench_seed())
    words = [int(line, 16) for line in Path("contents.mem").read_text().split()]
    start_clock(dut)
    addresses = [*range(len(words)), *(rng.randrange(len(words)) for _ in range(READS))]
    asked: list[int] = []
    for address in addresses:
        dut.addr_i.value = address
        await RisingEdge(dut.clk_i)
        if len(asked) >= 2:
            assert int(dut.data_o.value) == words[asked[-2]]
        asked.append(address)
