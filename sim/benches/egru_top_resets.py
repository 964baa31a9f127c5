"""The generated core, reset in mid-step at random: what it answers afterwards is what a fresh core answers, with ==.

Words and logits stream on through every reset, hard (``rst_ni``) or soft (CONTROL), whatever is under way. What counts is what was taken
since: that is given to the reference. Some words are wrong (`sim.word_stream`), and set an error that a soft reset leaves. The launcher
gives the generated folder.
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
from sim.drivers import Item, Link, Pace, StreamMonitor, StreamSink, StreamSource, reset, start, to_signed, wait_until
from sim.runner import bench_seed, write_report
from sim.word_stream import draw_step, is_wrong, steps_of
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
    words_in, logits_out = (
        Link(dut.clk_i, getattr(dut, f"{name}_tvalid"), getattr(dut, f"{name}_tready"), payload, dut.core_rst_nq)
        for name, payload in (("s_axis", (dut.s_axis_tdata, dut.s_axis_tlast)), ("m_axis", (dut.m_axis_tdata, dut.m_axis_tlast)))
    )
    source = StreamSource(words_in, Pace.LIGHT, rng)
    wrong: list[Item] = []  # since the last hard reset
    words = StreamMonitor(words_in, "s_axis", lambda word: wrong.append(word) if is_wrong(model, word) else None)
    logits = StreamSink(logits_out, Pace.LIGHT, rng, "m_axis").monitor
    cocotb.start_soon(forget_at_reset(dut, words, logits))
    await start(dut)
    kinds, in_mid_step, errors_seen = ["hard", "soft"] * ROUNDS, Counter[str](), 0
    rng.shuffle(kinds)
    source.send(*(word for _ in range(100 * len(kinds)) for word in draw_step(model, rng)))
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
        assert observed == _expected(model, words.items, len(observed))
        before = len(wrong)
        errors = await registers.read_dword(Register.ERRORS)
        assert bool(before) <= errors <= bool(wrong)
        errors_seen += errors
    await registers.write_dword(Register.CONTROL, INTERRUPT_ENABLE)
    await wait_until(dut, lambda: dut.irq_o.value == 1, "the end of a sequence")
    await registers.write_dword(Register.CONTROL, 0)
    assert dut.irq_o.value == 0
    assert all(in_mid_step[kind] > ROUNDS / 2 for kind in ("hard", "soft")), in_mid_step
    assert errors_seen > 0
    write_report({"in_mid_step": in_mid_step})


async def forget_at_reset(dut: Any, *monitors: StreamMonitor) -> None:
    """Clear ``monitors`` whenever the core is reset."""
    while True:
        await RisingEdge(dut.clk_i)
        if dut.core_rst_nq.value != 1:
            for monitor in monitors:
                monitor.clear()


def _expected(model: QuantizedModel, items: list[Item], count: int) -> list[tuple[int, int]]:
    """Return the first ``count`` transfers {logit, TLAST} of a fresh core that takes ``items``."""
    stream, transfers = EventDrivenStream(model), list[tuple[int, int]]()
    for inputs, last in steps_of(model, items):
        logits = [int(logit) for logit in stream.step(inputs).logits]
        transfers += [(logit, int(last and number == len(logits) - 1)) for number, logit in enumerate(logits)]
        if last:
            stream.reset()
        if len(transfers) >= count:
            break
    return transfers[:count]
