"""Bench of toggling.sv: lets it run before, while and after its changes count."""

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from sim.drivers import reset, start
from sim.runner import write_report

EDGES = 100


async def _edges(dut: Any, count: int) -> None:
    for _ in range(count):
        await RisingEdge(dut.clk_i)


@cocotb.test()
async def runs(dut: Any) -> None:
    await start(dut, inputs=["active_i"])
    dut.active_i.value = 1
    await _edges(dut, 20)
    dut.active_i.value = 0
    await reset(dut)  # forgets what was counted
    await _edges(dut, 7)
    dut.active_i.value = 1
    write_report({"before": int(dut.count_o.value)})
    await _edges(dut, EDGES)
    dut.active_i.value = 0
    await _edges(dut, 5)
