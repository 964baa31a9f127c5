"""egru_uart_rx: every good byte once and in order, bad framing reported once, glitches ignored."""

import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from sim.uart_line import UartSender

PERIOD_NS = 10


class Receiver:
    """Collects what the module puts out."""

    def __init__(self, dut: Any) -> None:
        self.data: list[int] = []
        self.errors = 0
        self._dut = dut
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        while True:
            await RisingEdge(self._dut.clk_i)
            if self._dut.valid_o.value == 1:
                self.data.append(int(self._dut.data_o.value))
            if self._dut.error_o.value == 1:
                self.errors += 1


async def start(dut: Any, deviation: float = 0.0) -> tuple[UartSender, Receiver, random.Random]:
    """Reset the module; ``deviation`` makes the sender's bits longer (or shorter) by that share."""
    bit_ns = int(dut.ClocksPerBit.value) * PERIOD_NS * (1 + deviation)
    sender = UartSender(dut.rx_i, bit_ns)
    dut.rst_ni.value = 0
    Clock(dut.clk_i, PERIOD_NS, "ns").start()
    await ClockCycles(dut.clk_i, 3)
    dut.rst_ni.value = 1
    return sender, Receiver(dut), random.Random(cocotb.RANDOM_SEED)


@cocotb.test(timeout_time=4, timeout_unit="ms")
@cocotb.parametrize(deviation=[-0.03, 0.0, 0.03])
async def every_byte_arrives(dut: Any, deviation: float) -> None:
    """All 256 values in random order, with and without gaps, from a sender whose clock is off by 3 %."""
    sender, receiver, rng = await start(dut, deviation)
    values = rng.sample(range(256), 256)
    for value in values:
        await sender.send([value])
        await sender.idle(rng.choice([0, 0, 0.3, 2.7]))
    await sender.idle(2)
    assert receiver.data == values
    assert receiver.errors == 0


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def a_low_stop_bit_is_one_error(dut: Any) -> None:
    """Bad framing and a long break give one error each and no byte; the next byte is good again."""
    sender, receiver, _ = await start(dut)
    await sender.send([0x5A], stop_bit=0)
    await sender.idle(2)
    assert (receiver.data, receiver.errors) == ([], 1)
    await sender.low(47)
    await sender.idle(2)
    assert (receiver.data, receiver.errors) == ([], 2)
    await sender.send([0xC3])
    await sender.idle(1)
    assert (receiver.data, receiver.errors) == ([0xC3], 2)


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def a_glitch_is_no_start_bit(dut: Any) -> None:
    """A low pulse of a quarter bit is ignored, wherever it falls in the clock."""
    sender, receiver, rng = await start(dut)
    for _ in range(20):
        await sender.low(0.25)
        await sender.idle(2 + rng.random())
    await sender.send([0x81])
    await sender.idle(1)
    assert (receiver.data, receiver.errors) == ([0x81], 0)
