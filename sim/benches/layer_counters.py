"""egru_layer_counters: every counter equals a count kept in Python; lane-cycles add up to lanes times busy cycles."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from sim.drivers import start
from sim.runner import bench_seed

CYCLES = 1500
PULSES = ("step_i", "input_event_i", "own_event_i", "bus_stall_i", "output_stall_i", "update_i")
# number of the counter that each pulse moves
COUNTER_OF = {"step_i": 0, "input_event_i": 1, "own_event_i": 2, "bus_stall_i": 6, "output_stall_i": 7, "update_i": 8}
MACS, WAITS, IDLES = 3, 4, 5


@cocotb.test()
async def counts(dut: Any) -> None:
    """Random pulses; a lane that has a MAC is working or not; cleared once on the way."""
    rng = random.Random(bench_seed())
    lanes, bits = int(dut.Lanes.value), int(dut.CounterBits.value)
    await start(dut, inputs=["clear_i", "busy_i", "mac_i", "working_i", *PULSES])
    busy_cycles, expected = await _drive(dut, rng, CYCLES)
    counters = _read(dut, bits)
    assert counters == [value % (1 << bits) for value in expected]
    assert bits < 16 or counters[MACS] + counters[WAITS] + counters[IDLES] == lanes * busy_cycles
    assert min(expected) > 100
    dut.clear_i.value = 1
    await RisingEdge(dut.clk_i)
    dut.clear_i.value = 0
    await RisingEdge(dut.clk_i)
    assert _read(dut, bits) == [0] * 9
    _, expected = await _drive(dut, rng, CYCLES // 3)
    assert _read(dut, bits) == [value % (1 << bits) for value in expected]


async def _drive(dut: Any, rng: random.Random, cycles: int) -> tuple[int, list[int]]:
    """Drive random inputs, then nothing until the counters have settled; return busy cycles and expected counts."""
    lanes = int(dut.Lanes.value)
    busy_cycles, expected = 0, [0] * 9
    for _ in range(cycles):
        busy, mac, working = rng.random() < 0.8, rng.getrandbits(lanes), rng.getrandbits(lanes)
        dut.busy_i.value, dut.mac_i.value, dut.working_i.value = int(busy), mac, working
        pulses = {name: rng.getrandbits(1) for name in PULSES}
        for name, value in pulses.items():
            getattr(dut, name).value = value
            expected[COUNTER_OF[name]] += value
        if busy:
            busy_cycles += 1
            expected[MACS] += mac.bit_count()
            expected[WAITS] += (working & ~mac).bit_count()
            expected[IDLES] += lanes - (working | mac).bit_count()
        await RisingEdge(dut.clk_i)
    for name in ("busy_i", "mac_i", "working_i", *PULSES):
        getattr(dut, name).value = 0
    for _ in range(3):
        await RisingEdge(dut.clk_i)
    return busy_cycles, expected


def _read(dut: Any, bits: int) -> list[int]:
    word = int(dut.counters_o.value)
    return [word >> (bits * n) & ((1 << bits) - 1) for n in range(9)]
