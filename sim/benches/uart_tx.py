"""egru_uart_tx against a model of the line, cycle by cycle."""

import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

PERIOD_NS = 10


def frame(byte: int, clocks_per_bit: int) -> list[int]:
    """Return the line's level in each cycle of one frame."""
    bits = [0, *(byte >> place & 1 for place in range(8)), 1]
    return [bit for bit in bits for _ in range(clocks_per_bit)]


@cocotb.test(timeout_time=4, timeout_unit="ms")
@cocotb.parametrize(idle=[0.0, 0.02])
async def the_line_follows_the_model(dut: Any, idle: float) -> None:
    """Line and ``ready_o`` are as the model says in every cycle; without idle cycles frames follow without a gap."""
    rng = random.Random(cocotb.RANDOM_SEED)
    clocks_per_bit = int(dut.ClocksPerBit.value)
    dut.rst_ni.value = 0
    dut.valid_i.value = 0
    Clock(dut.clk_i, PERIOD_NS, "ns").start()
    await ClockCycles(dut.clk_i, 3)
    dut.rst_ni.value = 1
    await RisingEdge(dut.clk_i)

    waiting = [rng.randrange(256) for _ in range(60)]
    total = len(waiting)
    line: list[int] = []  # levels still to come
    offering = False
    cycles = 0
    while waiting or line:
        if not offering and waiting and rng.random() >= idle * clocks_per_bit:
            dut.valid_i.value = 1
            dut.data_i.value = waiting[0]
            offering = True
        await RisingEdge(dut.clk_i)
        cycles += 1
        expected_ready = len(line) <= 1
        assert dut.ready_o.value == int(expected_ready), f"{len(line)} cycles left of a frame"
        assert dut.tx_o.value == (line.pop(0) if line else 1)
        if offering and expected_ready:
            line += frame(waiting.pop(0), clocks_per_bit)
            dut.valid_i.value = 0
            offering = False
    if idle == 0.0:
        assert cycles == total * 10 * clocks_per_bit + 1
