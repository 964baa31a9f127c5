"""egru_reset_sync: the reset falls without a clock and rises a fixed number of edges after its input."""

import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge, Timer

PERIOD_NS = 10


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def falls_at_once_and_rises_in_step(dut: Any) -> None:
    """Assert at random moments, release at random moments, count the edges until the output follows."""
    rng = random.Random(cocotb.RANDOM_SEED)
    stages = int(dut.Stages.value)
    dut.rst_ni.value = 0
    Clock(dut.clk_i, PERIOD_NS, "ns").start()
    for _ in range(100):
        await RisingEdge(dut.clk_i)
        # Anywhere in the period but not at its edge: what an edge at the same moment sees is not defined.
        await Timer(rng.randrange(1, PERIOD_NS), "ns")
        dut.rst_ni.value = 1
        for edge in range(stages):
            await RisingEdge(dut.clk_i)
            await Timer(1, "ns")
            assert dut.rst_no.value == int(edge == stages - 1), f"edge {edge + 1} of {stages}"
        for _ in range(rng.randrange(4)):
            await FallingEdge(dut.clk_i)
            assert dut.rst_no.value == 1
        await RisingEdge(dut.clk_i)
        await Timer(rng.randrange(1, PERIOD_NS - 1), "ns")
        dut.rst_ni.value = 0
        await Timer(1, "ns")
        assert dut.rst_no.value == 0, "the reset waited for a clock"
        for _ in range(rng.randrange(stages)):
            await RisingEdge(dut.clk_i)


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def a_short_pulse_resets(dut: Any) -> None:
    """A reset shorter than a clock period still holds the output low for all stages."""
    stages = int(dut.Stages.value)
    dut.rst_ni.value = 0
    Clock(dut.clk_i, PERIOD_NS, "ns").start()
    await Timer(25, "ns")
    dut.rst_ni.value = 1
    for _ in range(stages + 2):
        await RisingEdge(dut.clk_i)
    await Timer(2, "ns")
    dut.rst_ni.value = 0
    await Timer(1, "ns")
    dut.rst_ni.value = 1
    for edge in range(stages):
        assert dut.rst_no.value == 0
        await RisingEdge(dut.clk_i)
        await Timer(1, "ns")
        assert dut.rst_no.value == int(edge == stages - 1)
