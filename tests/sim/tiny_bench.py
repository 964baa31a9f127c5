"""Bench of tiny.sv: what it does is chosen by name."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from sim.drivers import Link, Pace, StreamSink, start
from sim.runner import bench_seed, failure_folder, write_report
from sim.scoreboard import Scoreboard

INPUTS = ["withdraw_i", "change_i", "fail_i", "ready_i"]


async def _set_up(dut: Any) -> StreamSink:
    await start(dut, inputs=INPUTS)
    return StreamSink(Link.of(dut, "valid_o", "ready_i", "data_o"), Pace.HEAVY, random.Random(bench_seed()), "tiny")


@cocotb.test()
async def passes(dut: Any) -> None:
    sink = await _set_up(dut)
    await sink.wait_for(20)
    assert sink.items == [(n,) for n in range(len(sink.items))]
    assert sink.monitor.stalls > 0
    write_report({"unreset": int(dut.unreset_o.value), "seed": bench_seed()})


@cocotb.test()
async def finds_a_mismatch(dut: Any) -> None:
    sink = await _set_up(dut)
    await sink.wait_for(5)
    Scoreboard(failure_folder(), bench_seed()).check(0, "tiny", "word", [item[0] for item in sink.items[:5]], [0, 1, 2, 7, 4])


@cocotb.test()
async def changes_its_payload(dut: Any) -> None:
    sink = await _set_up(dut)
    dut.change_i.value = 1
    await sink.wait_for(50)


@cocotb.test()
async def withdraws_an_item(dut: Any) -> None:
    sink = await _set_up(dut)
    for _ in range(200):
        await RisingEdge(dut.clk_i)
        dut.withdraw_i.value = random.getrandbits(1)
    await sink.wait_for(50)


@cocotb.test()
async def breaks_an_assertion(dut: Any) -> None:
    await _set_up(dut)
    dut.fail_i.value = 1
    for _ in range(5):
        await RisingEdge(dut.clk_i)
