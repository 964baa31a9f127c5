"""egru_uart_bridge: what the host sends reaches core and registers in order, what comes back reaches the host whole."""

import random
from collections import deque
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteSlave

from sim.uart_line import UartListener, UartSender

PERIOD_NS = 10
FRAME_BYTES = {0x80: 4, 0x81: 4, 0x82: 4, 0x83: 0, 0x8A: 4, 0x8B: 0, 0x8E: 0, 0x8F: 0}
LOST = 0x8E
REFUSED_FROM = 0x800  # the register model answers with an error from here on


class Registers:
    """The target of the AXI4-Lite model: keeps every write; refuses the upper half of the addresses."""

    def __init__(self) -> None:
        self.content: dict[int, bytes] = {}
        self.writes: list[tuple[int, bytes]] = []

    async def write(self, address: int, data: bytes) -> None:
        """Keep a write; an exception becomes an error response."""
        if address >= REFUSED_FROM:
            raise IndexError(address)
        self.writes.append((address, bytes(data)))
        self.content[address] = bytes(data)

    async def read(self, address: int, length: int) -> bytes:
        """Return what was written last, else zeros; an exception becomes an error response."""
        if address >= REFUSED_FROM:
            raise IndexError(address)
        return self.content.get(address, bytes(length))


class Core:
    """Takes tokens and offers words, both with random pauses."""

    def __init__(self, dut: Any, rng: random.Random, stall: float) -> None:
        self.tokens: list[tuple[int, int]] = []
        self.words: deque[tuple[int, int]] = deque()
        self.blocked = False
        self._dut, self._rng, self._stall = dut, rng, stall
        dut.m_axis_tready.value = 0
        dut.s_axis_tvalid.value = 0
        cocotb.start_soon(self._take())
        cocotb.start_soon(self._give())

    async def _take(self) -> None:
        dut = self._dut
        offered: tuple[int, int] | None = None
        while True:
            dut.m_axis_tready.value = int(not self.blocked and self._rng.random() >= self._stall)
            await RisingEdge(dut.clk_i)
            token = (int(dut.m_axis_tdata.value), int(dut.m_axis_tlast.value)) if dut.m_axis_tvalid.value == 1 else None
            assert offered is None or token == offered, "an offered token changed or was withdrawn"
            offered = token
            if token is not None and dut.m_axis_tready.value == 1:
                self.tokens.append(token)
                offered = None

    async def _give(self) -> None:
        dut = self._dut
        while True:
            if self.words and self._rng.random() >= self._stall:
                dut.s_axis_tdata.value, dut.s_axis_tlast.value = self.words[0]
                dut.s_axis_tvalid.value = 1
                while True:
                    await RisingEdge(dut.clk_i)
                    if dut.s_axis_tready.value == 1:
                        break
                self.words.popleft()
                dut.s_axis_tvalid.value = 0
            else:
                await RisingEdge(dut.clk_i)


class Host:
    """Sends commands and sorts the replies."""

    def __init__(self, dut: Any) -> None:
        bit_ns = int(dut.ClocksPerBit.value) * PERIOD_NS
        self.sender = UartSender(dut.rx_i, bit_ns)
        self.words: list[tuple[int, int]] = []
        self.replies: list[tuple[int, int | None]] = []
        self.lost = 0
        self._listener = UartListener(dut.tx_o, bit_ns)
        cocotb.start_soon(self._sort())

    async def _sort(self) -> None:
        while True:
            tag = (await self._listener.receive(1))[0]
            assert tag in FRAME_BYTES, f"0x{tag:02x} is no reply"
            value = int.from_bytes(await self._listener.receive(FRAME_BYTES[tag]), "little") if FRAME_BYTES[tag] else None
            if tag == LOST:
                self.lost += 1
            elif tag in (0x80, 0x81):
                assert value is not None
                self.words.append((value, tag & 1))
            else:
                self.replies.append((tag, value))


class Bench:
    """Everything around the module."""

    def __init__(self, dut: Any, stall: float) -> None:
        self.dut = dut
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self.registers = Registers()
        self.core = Core(dut, self.rng, stall)
        self.host = Host(dut)
        self._stall = stall

    async def start(self) -> None:
        """Reset the module and connect the register model."""
        dut = self.dut
        dut.rst_ni.value = 0
        Clock(dut.clk_i, PERIOD_NS, "ns").start()
        await ClockCycles(dut.clk_i, 3)
        dut.rst_ni.value = 1
        slave = AxiLiteSlave(AxiLiteBus.from_prefix(dut, "m_axil"), dut.clk_i, target=self.registers)
        for channel in (
            slave.write_if.aw_channel,
            slave.write_if.w_channel,
            slave.write_if.b_channel,
            slave.read_if.ar_channel,
            slave.read_if.r_channel,
        ):
            channel.set_pause_generator(self._pauses())

    def _pauses(self) -> Any:
        while True:
            yield self.rng.random() < self._stall

    async def settle(self, frames: int = 8) -> None:
        """Wait until replies under way have arrived."""
        await ClockCycles(self.dut.clk_i, 50 * frames * int(self.dut.ClocksPerBit.value))


def little(value: int, length: int) -> bytes:
    """Return an integer as little-endian bytes."""
    return value.to_bytes(length, "little")


@cocotb.test(timeout_time=4, timeout_unit="ms")
@cocotb.parametrize(stall=[0.0, 0.5, 0.9])
async def random_traffic_arrives_whole_and_in_order(dut: Any, stall: float) -> None:
    """Tokens, reads, writes, refused accesses and unknown commands, while the core sends words of its own."""
    bench = Bench(dut, stall)
    await bench.start()
    rng = bench.rng
    model: dict[int, int] = {}
    tokens: list[tuple[int, int]] = []
    words: list[tuple[int, int]] = []
    writes: list[tuple[int, bytes]] = []
    replies: list[tuple[int, int | None]] = []
    for _ in range(150):
        kind = rng.choice(["token", "token", "read", "write", "far", "unknown", "word"])
        address = 4 * rng.choice([0, 1, 2, 0x100, 0x1FF, 0x200, 0x3FF])
        value = rng.getrandbits(32)
        if kind == "token":
            tokens.append((value & 0x7FFF, value >> 15 & 1))
            await bench.host.sender.send(b"\x01" + little(value & 0xFFFF, 2))
        elif kind == "read":
            known = model.get(address, 0)
            replies.append((0x82, known) if address < REFUSED_FROM else (0x8A, 0))
            await bench.host.sender.send(b"\x02" + little(address, 2))
        elif kind == "write":
            replies.append((0x83, None) if address < REFUSED_FROM else (0x8B, None))
            if address < REFUSED_FROM:
                model[address] = value
                writes.append((address, little(value, 4)))
            await bench.host.sender.send(b"\x03" + little(address, 2) + little(value, 4))
        elif kind == "far":
            reading = bool(value & 1)
            replies.append((0x8A if reading else 0x8B, None))
            far = 0x1000 << (value >> 1 & 3) | address
            await bench.host.sender.send((b"\x02" if reading else b"\x03") + little(far, 2) + (b"" if reading else little(value, 4)))
        elif kind == "unknown":
            replies.append((0x8F, None))
            await bench.host.sender.send([rng.choice([0x00, 0x04, 0x55, 0xFF])])
        else:
            words.append((value, value >> 7 & 1))
            bench.core.words.append(words[-1])
        await bench.host.sender.idle(rng.choice([0, 0, 5, 40]))
    # Every command and word makes at most 5 bytes; all of them can still be on their way.
    while len(bench.host.replies) < len(replies) or len(bench.host.words) < len(words) or len(bench.core.tokens) < len(tokens):
        await ClockCycles(dut.clk_i, 100)
    await bench.settle()
    assert bench.core.tokens == tokens
    assert bench.host.words == words
    assert bench.registers.writes == writes
    # The data of a refused read have no meaning.
    assert [tag for tag, _ in bench.host.replies] == [tag for tag, _ in replies]
    assert [value for tag, value in bench.host.replies if tag == 0x82] == [value for tag, value in replies if tag == 0x82]
    assert bench.host.lost == 0


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def a_full_queue_is_reported_and_the_rest_kept(dut: Any) -> None:
    """While the core takes nothing, bytes beyond the queue are lost and reported; those within it arrive."""
    bench = Bench(dut, 0.0)
    await bench.start()
    bench.core.blocked = True
    queue_bytes = int(dut.QueueBytes.value)
    # Three bytes leave the queue for the token that waits; the queue then takes this many whole tokens.
    fitting = 1 + queue_bytes // 3
    for number in range(fitting):
        await bench.host.sender.send(b"\x01" + little(number, 2))
    await bench.settle()
    assert bench.host.lost == 0
    for _ in range(queue_bytes % 3):
        await bench.host.sender.send([0xAA])
    await bench.settle()
    assert bench.host.lost == 0
    await bench.host.sender.send([0xBB])
    await bench.settle()
    assert bench.host.lost == 1
    bench.core.blocked = False
    await bench.settle()
    assert bench.core.tokens == [(number, 0) for number in range(fitting)]
    assert bench.host.replies == [(0x8F, None)] * (queue_bytes % 3)


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def a_broken_byte_is_reported(dut: Any) -> None:
    """A low stop bit costs that byte alone and is reported once."""
    bench = Bench(dut, 0.0)
    await bench.start()
    await bench.host.sender.send([0x01], stop_bit=0)
    await bench.host.sender.idle(3)
    await bench.host.sender.send(b"\x01\x34\x12")
    await bench.settle()
    assert bench.host.lost == 1
    assert bench.core.tokens == [(0x1234, 0)]


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def a_loss_is_reported_after_a_frame_under_way(dut: Any) -> None:
    """While words keep the line to the host busy, the report waits for the end of a frame and is not forgotten."""
    bench = Bench(dut, 0.0)
    await bench.start()
    words = [(bench.rng.getrandbits(32), 0) for _ in range(6)]
    bench.core.words.extend(words)
    await bench.host.sender.idle(12)
    await bench.host.sender.send([0xFF], stop_bit=0)
    await bench.settle()
    assert bench.host.lost == 1
    assert bench.host.words == words
