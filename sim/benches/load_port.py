"""egru_load_port: parts become words, one cycle after the last; nothing is written otherwise, and nothing at all without loading."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from sim.drivers import reset, start
from sim.runner import BenchResult, bench_seed, run_bench, write_report

WORDS = 300
LOADABLE = (2, 3)


def launch(weights: int, load_bits: int, seed: int = 1) -> BenchResult:
    """Run the bench."""
    parameters = {"Weights": weights, "LoadBits": load_bits}
    return run_bench("egru_load_port", "sim.benches.load_port", parameters=parameters, seed=seed)


@cocotb.test()
async def words_arrive_whole(dut: Any) -> None:
    """Words of every number of parts, with idle cycles between and within them; a reset in between leaves no write behind."""
    rng, load_bits = random.Random(bench_seed()), int(dut.LoadBits.value)
    sent: list[tuple[int, int, int, int]] = []
    found: list[tuple[int, int, int, int]] = []
    await start(dut, inputs=["bus_i"])

    async def watch() -> None:
        while True:
            await RisingEdge(dut.clk_i)
            value = int(dut.load_o.value)
            if value >> 28 + load_bits:
                parts = sent[len(found)][3]
                data = value % (1 << load_bits) >> load_bits - 32 * parts
                found.append((value >> 16 + load_bits & 0xFFF, value >> load_bits & 0xFFFF, data, parts))

    cocotb.start_soon(watch())
    idles = 0
    for number in range(WORDS):
        if number == WORDS // 2:
            await reset(dut)
        parts = rng.randint(1, load_bits // 32)
        memory, word, data = rng.getrandbits(12), rng.getrandbits(16), rng.getrandbits(32 * parts)
        sent.append((memory, word, data, parts))
        for part in range(parts):
            while rng.random() < 0.3:
                dut.bus_i.value = rng.getrandbits(61)  # not valid
                idles += 1
                await RisingEdge(dut.clk_i)
            last = part == parts - 1
            dut.bus_i.value = (((2 | last) << 12 | memory) << 16 | word) << 32 | data >> 32 * part & 0xFFFFFFFF
            await RisingEdge(dut.clk_i)
        dut.bus_i.value = 0
        await RisingEdge(dut.clk_i)
        await RisingEdge(dut.clk_i)
    if int(dut.Weights.value) in LOADABLE:
        assert found == sent
        assert idles > WORDS // 10
    else:
        assert found == []
        assert int(dut.load_o.value) == 0
    write_report({"words": len(found), "idles": idles})
