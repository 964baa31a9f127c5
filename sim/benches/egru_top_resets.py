"""The generated core, reset in mid-step at random: what it answers afterwards is what a fresh core answers, with ==.

Tokens and logits stream on through every reset, hard (``rst_ni``) or soft (CONTROL), whatever is under way. What counts is what was taken
since: those tokens are given to the reference. Some are out of range: they count as token 0, and set an error that a soft reset leaves.
The launcher gives the generated folder.
"""

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from hls_gen.registers import SOFT_RESET, Register
from sim.benches.egru_top import GENERATED_VARIABLE
from sim.drivers import Link, Pace, StreamMonitor, StreamSink, StreamSource, reset, start, to_signed, wait_until
from sim.runner import bench_seed, write_report
from sw_model.quantized_model import QuantizedModel
from sw_model.reference import EventDrivenStream

ROUNDS = 4  # of each kind of reset
MOST_CYCLES = 120  # between the answers of one round and the next reset
MOST_STEPS = 4  # answered after a reset
INTERRUPT_ENABLE = 2  # in CONTROL


@cocotb.test()
async def nothing_is_left_after_a_reset(dut: Any) -> None:
    """Reset again and again, and compare some steps after each."""
    model = QuantizedModel.load(Path(os.environ[GENERATED_VARIABLE]) / "model")
    rng = random.Random(bench_seed())
    registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk_i, dut.rst_ni, reset_active_level=False)
    registers.write_if.log.setLevel("WARNING")
    registers.read_if.log.setLevel("WARNING")
    # Both kinds of reset go through this one, and nothing is taken or given while it is low.
    tokens_in, logits_out = (
        Link(dut.clk_i, getattr(dut, f"{name}_tvalid"), getattr(dut, f"{name}_tready"), payload, dut.core_rst_nq)
        for name, payload in (("s_axis", (dut.s_axis_tdata, dut.s_axis_tlast)), ("m_axis", (dut.m_axis_tdata, dut.m_axis_tlast)))
    )
    source = StreamSource(tokens_in, Pace.LIGHT, rng)
    wrong: list[int] = []  # since the last hard reset
    tokens = StreamMonitor(tokens_in, "s_axis", lambda item: wrong.append(item[0]) if item[0] >= model.tokens else None)
    logits = StreamSink(logits_out, Pace.LIGHT, rng, "m_axis").monitor
    cocotb.start_soon(_forget_at_reset(dut, tokens, logits))
    await start(dut)
    kinds, in_mid_step = ["hard", "soft"] * ROUNDS, Counter[str]()
    rng.shuffle(kinds)
    source.send(*[(rng.randrange(model.tokens * 5 // 4), int(rng.random() < 0.2)) for _ in range(100 * len(kinds))])
    for kind in kinds:
        await ClockCycles(dut.clk_i, rng.randint(1, MOST_CYCLES))
        if kind == "hard":
            in_mid_step[kind] += int(dut.busy.value)
            for _ in range(rng.randint(1, 2)):  # the second one while the memories are cleared
                await ClockCycles(dut.clk_i, rng.randint(1, 10))
                await reset(dut, rng.randint(1, 4))
            wrong.clear()
        else:
            write = cocotb.start_soon(registers.write_dword(Register.CONTROL, SOFT_RESET))
            await RisingEdge(dut.soft_reset)
            in_mid_step[kind] += int(dut.busy.value)
            await write
        count = rng.randint(1, MOST_STEPS) * model.classes
        await wait_until(dut, lambda count=count: len(logits.items) >= count, f"{count} logits after a {kind} reset")  # type: ignore[misc]
        observed = [(to_signed(word, 32), last) for word, last in logits.items]
        assert observed == _expected(model, tokens.items, len(observed))
        before = len(wrong)
        errors = await registers.read_dword(Register.ERRORS)
        assert bool(before) <= errors <= bool(wrong)
    await registers.write_dword(Register.CONTROL, INTERRUPT_ENABLE)
    await wait_until(dut, lambda: dut.irq_o.value == 1, "the end of a sequence")
    await registers.write_dword(Register.CONTROL, 0)
    assert dut.irq_o.value == 0
    assert all(in_mid_step[kind] > ROUNDS / 2 for kind in ("hard", "soft")), in_mid_step
    write_report({"in_mid_step": in_mid_step})


async def _forget_at_reset(dut: Any, *monitors: StreamMonitor) -> None:
    while True:
        await RisingEdge(dut.clk_i)
        if dut.core_rst_nq.value != 1:
            for monitor in monitors:
                monitor.clear()


def _expected(model: QuantizedModel, tokens: list[tuple[int, ...]], count: int) -> list[tuple[int, int]]:
    """Return the first ``count`` transfers {logit, TLAST} of a fresh core that takes ``tokens``."""
    stream, transfers = EventDrivenStream(model), list[tuple[int, int]]()
    for token, last in tokens:
        logits = [int(logit) for logit in stream.step(token if token < model.tokens else 0).logits]
        transfers += [(logit, int(last and number == len(logits) - 1)) for number, logit in enumerate(logits)]
        if last:
            stream.reset()
        if len(transfers) >= count:
            break
    return transfers[:count]
