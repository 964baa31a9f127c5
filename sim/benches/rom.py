"""egru_rom: the word of two clock edges ago, for every address, sliced or not."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from hls_gen.memory_image import MemoryImage
from sim.drivers import start_clock
from sim.runner import BenchResult, Parameter, bench_seed, run_bench

READS = 500


def launch(width: int, depth: int, slices: int, seed: int = 1) -> BenchResult:
    """Run the bench on random contents, which must lie in ``slices`` files."""
    image = MemoryImage("contents", width, _words(width, depth, seed))
    assert len(image.files()) == slices
    parameters: dict[str, Parameter] = {"Width": width, "Depth": depth, "InitFile": image.name}
    return run_bench("egru_rom", "sim.benches.rom", parameters=parameters, files=image.files(), seed=seed)


def _words(width: int, depth: int, seed: int) -> tuple[int, ...]:
    rng = random.Random(seed)
    return tuple(rng.getrandbits(width) for _ in range(depth))


@cocotb.test()
async def returns_its_contents(dut: Any) -> None:
    """Random addresses without a gap, and every address at least once."""
    rng, words = random.Random(bench_seed()), _words(int(dut.Width.value), int(dut.Depth.value), bench_seed())
    start_clock(dut)
    # two more, so that the last answers are seen too
    addresses = [*range(len(words)), *(rng.randrange(len(words)) for _ in range(READS)), 0, 0]
    found = []
    for address in addresses:
        dut.addr_i.value = address
        await RisingEdge(dut.clk_i)
        found.append(dut.data_o.value)
    assert [int(word) for word in found[2:]] == [words[address] for address in addresses[:-2]]
