"""The input of the core that joins Bambu's modules: what its words become in front of the first one, through resets in mid-step.

Words stream on through every reset, hard or soft, and some are wrong (`sim.word_stream`). The modules themselves are stubs here. The
launcher gives a folder with the model, and the name of the stream to the first module.
"""

import os
import random
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from hls_gen.memory_image import address_bits
from hls_gen.registers import SOFT_RESET, Register
from sim.benches.egru_top import GENERATED_VARIABLE
from sim.benches.egru_top_resets import forget_at_reset
from sim.drivers import Item, Link, Pace, StreamMonitor, StreamSource, reset, start
from sim.runner import bench_seed, write_report
from sim.word_stream import draw_step, is_wrong
from sw_model.quantized_model import QuantizedModel

WIRE_VARIABLE = "EGRU_INPUT_WIRE"
ROUNDS = 12


@cocotb.test()
async def words_become_items(dut: Any) -> None:
    """Stream words, reset now and then, and compare every item and the error flag."""
    model = QuantizedModel.load(Path(os.environ[GENERATED_VARIABLE]) / "model")
    wire = os.environ[WIRE_VARIABLE]
    rng = random.Random(bench_seed())
    registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk_i, dut.rst_ni, reset_active_level=False)
    registers.write_if.log.setLevel("WARNING")
    registers.read_if.log.setLevel("WARNING")
    words_in = Link(dut.clk_i, dut.s_axis_tvalid, dut.s_axis_tready, (dut.s_axis_tdata, dut.s_axis_tlast), dut.core_rst_nq)
    valid, ready, item = (getattr(dut, f"{wire}_o_{name}") for name in ("valid", "ready", "data"))
    items_out = Link(dut.clk_i, valid, ready, (item,), dut.core_rst_nq)
    dut.m_axis_tready.value = 0  # no step comes to its end: the core is busy from its first word on
    source = StreamSource(words_in, Pace.LIGHT, rng)
    wrong: list[Item] = []  # since the last hard reset
    words = StreamMonitor(words_in, "s_axis", lambda word: wrong.append(word) if is_wrong(model, word) else None)
    items = StreamMonitor(items_out, wire)
    cocotb.start_soon(forget_at_reset(dut, words, items))
    await start(dut)
    seen = mid_step = errors_seen = 0
    source.send(*(word for _ in range(1000) for word in draw_step(model, rng)))
    for _ in range(ROUNDS):
        await ClockCycles(dut.clk_i, rng.randint(1, 150))
        assert dut.busy.value == bool(words.items)
        expected = expected_items(model, words.items)
        found = [taken[0] for taken in items.items]
        assert found == expected[: len(found)]
        assert len(expected) - len(found) <= 2, "the stream holds no more"
        seen += len(found)
        mid_step += bool(words.items) and not is_end(model, words.items[-1])
        before = len(wrong)
        errors = await registers.read_dword(Register.ERRORS)
        assert bool(before) <= errors <= bool(wrong)
        errors_seen += errors
        if rng.random() < 0.5:
            await reset(dut, rng.randint(1, 4))
            wrong.clear()
        else:
            write = cocotb.start_soon(registers.write_dword(Register.CONTROL, SOFT_RESET))
            await RisingEdge(dut.soft_reset)
            await write
    assert seen > 20 * ROUNDS
    assert errors_seen > 0
    write_report({"mid_step": mid_step})


def is_end(model: QuantizedModel, word: Item) -> bool:
    """Say whether a word ends a time step."""
    return not model.channels or word[0] % (1 << model.formats.event_bits) == 0


def expected_items(model: QuantizedModel, words: list[Item]) -> list[int]:
    """Return {end, first, last, index or token, value} of what a fresh core that takes ``words`` gives its first module."""
    bits, index_bits, first, items = model.formats.event_bits, address_bits(model.channels or model.tokens), 1, list[int]()
    for word in words:
        data, last = word
        end = int(is_end(model, word))
        if model.channels:
            index, value = divmod(data, 1 << bits)
            index = 0 if end else index
            known = index < model.channels
        else:
            index, value, known = data if data < model.tokens else 0, 0, True
        if known:
            items.append((((end << 1 | first) << 1 | end & last) << index_bits | index) << bits | value)
        first = last if end else first
    return items
