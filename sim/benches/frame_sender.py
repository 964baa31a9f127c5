"""egru_frame_sender: the bytes of every reply are those of sim.link_frames, whatever the line's pace; a reply can be sent again."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from sim.drivers import Link, Pace, StreamSink, reset, start, wait_until
from sim.link_crc import CrcModel
from sim.link_frames import Frame, Sync, encode_frame
from sim.runner import bench_seed


class Sender:
    """The module with a buffer that shows a byte three cycles after the cursor was moved."""

    def __init__(self, dut: Any, pace: Pace) -> None:
        self.payload = b""
        self.done = 0
        self._dut = dut
        self.line = StreamSink(Link.of(dut, "valid_o", "ready_i", "byte_o"), pace, random.Random(bench_seed()))
        CrcModel(dut, dut.byte_o)
        cocotb.start_soon(self._serve())

    async def _serve(self) -> None:
        dut, cursor, age = self._dut, 0, 0
        while True:
            dut.count_i.value = cursor
            shown = age >= 2 and cursor < len(self.payload)
            dut.data_i.value = self.payload[cursor] if shown else 0xAA
            await RisingEdge(dut.clk_i)
            age += 1
            self.done += int(dut.done_o.value)
            assert not (dut.clear_o.value == 1 and dut.next_o.value == 1)
            if dut.clear_o.value == 1 or dut.next_o.value == 1:
                cursor, age = (0 if dut.clear_o.value == 1 else cursor + 1), 0

    async def send(self, frame: Frame) -> bytes:
        """Send a reply and return its bytes on the line."""
        dut, before, done = self._dut, len(self.line.items), self.done
        self.payload = frame.payload
        dut.kind_i.value, dut.sequence_i.value, dut.length_i.value = frame.kind, frame.sequence, len(frame.payload)
        dut.start_i.value = 1
        await RisingEdge(dut.clk_i)
        dut.start_i.value = 0
        await wait_until(dut, lambda: self.done > done, "the end of the frame", 20_000)
        return bytes(byte for (byte,) in self.line.items[before:])


INPUTS = ["start_i", "kind_i", "sequence_i", "length_i", "count_i", "data_i", "crc_busy_i", "crc_byte_i", "ready_i"]


@cocotb.test()
@cocotb.parametrize(pace=[Pace.FULL, Pace.HEAVY, Pace.BURSTS])
async def frames_are_whole(dut: Any, pace: Pace) -> None:
    """Payloads of every edge length, each sent twice."""
    rng = random.Random(bench_seed())
    await start(dut, inputs=INPUTS)
    sender = Sender(dut, pace)
    for length in (0, 1, 4, 9, 255):
        frame = Frame(rng.randrange(16), rng.randrange(256), rng.randbytes(length))
        for _ in range(2):
            assert await sender.send(frame) == encode_frame(Sync.REPLY, frame)
    assert sender.done == 10
    if pace is not Pace.FULL:
        assert sender.line.monitor.stalls > 0


@cocotb.test()
async def a_reset_ends_a_frame(dut: Any) -> None:
    """Wherever it was, even in the CRC; the next frame is whole."""
    rng = random.Random(bench_seed())
    await start(dut, inputs=INPUTS)
    sender = Sender(dut, Pace.FULL)
    for taken in range(1, 12):
        frame = Frame(taken, rng.randrange(256), rng.randbytes(4))
        goal = len(sender.line.items) + taken
        sending = cocotb.start_soon(sender.send(frame))
        await wait_until(dut, lambda goal=goal: len(sender.line.items) == goal, f"byte {taken}")  # type: ignore[misc]
        sending.cancel()
        await reset(dut)
        assert dut.valid_o.value == 0
        assert await sender.send(frame) == encode_frame(Sync.REPLY, frame)
