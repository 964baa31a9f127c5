"""egru_frame_receiver: finds exactly the frames that the decoder of sim.link_frames finds in the same bytes."""

import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from sim.drivers import reset, start
from sim.link_crc import CrcModel
from sim.link_frames import RESYNC, Frame, FrameDecoder, Sync, encode_frame
from sim.runner import bench_seed, write_report

BYTE_GAP = 12  # cycles; more than a byte is divided in, fewer than any line leaves


class Receiver:
    """The module, a buffer for its payload, and what it said."""

    def __init__(self, dut: Any) -> None:
        self.frames: list[Frame] = []
        self.dropped = 0
        self._dut = dut
        self._payload = bytearray()
        CrcModel(dut, dut.byte_i)
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut = self._dut
        while True:
            dut.count_i.value = len(self._payload)
            await RisingEdge(dut.clk_i)
            assert not (dut.clear_o.value == 1 and dut.store_o.value == 1)
            if dut.clear_o.value == 1:
                self._payload.clear()
            if dut.store_o.value == 1:
                self._payload.append(int(dut.byte_i.value))
            if dut.valid_o.value == 1:
                assert int(dut.length_o.value) == len(self._payload)
                kind, sequence, version = (int(port.value) for port in (dut.kind_o, dut.sequence_o, dut.version_o))
                self.frames.append(Frame(kind, sequence, bytes(self._payload), version))
            self.dropped += int(dut.dropped_o.value)

    async def send(self, data: bytes) -> None:
        """Give bytes to the module."""
        for byte in data:
            self._dut.byte_i.value = byte
            await self._pulse("valid_i")

    async def lose(self) -> None:
        """Say that a byte was lost."""
        await self._pulse("lost_i")

    async def _pulse(self, name: str) -> None:
        getattr(self._dut, name).value = 1
        await RisingEdge(self._dut.clk_i)
        getattr(self._dut, name).value = 0
        await ClockCycles(self._dut.clk_i, BYTE_GAP)


async def begin(dut: Any) -> tuple[Receiver, random.Random]:
    """Reset the module; it listens."""
    await start(dut, inputs=["listen_i", "valid_i", "lost_i", "byte_i", "count_i", "crc_busy_i", "crc_good_i"])
    dut.listen_i.value = 1
    return Receiver(dut), random.Random(bench_seed())


def random_frame(rng: random.Random, longest: int = 20) -> Frame:
    """Draw a frame; sync bytes are frequent in it."""
    payload = bytes(rng.choice([Sync.REQUEST, 0, rng.randrange(256)]) for _ in range(rng.randrange(longest + 1)))
    return Frame(rng.randrange(16), rng.randrange(256), payload, rng.randrange(16))


@cocotb.test()
async def equals_the_decoder(dut: Any) -> None:
    """Frames whole and damaged in every way, noise between them, zeros now and then."""
    receiver, rng = await begin(dut)
    decoder, frames = FrameDecoder(Sync.REQUEST, rescan=False), []
    for number in range(120):
        data = bytearray(encode_frame(Sync.REQUEST, random_frame(rng)))
        place = rng.randrange(len(data))
        match rng.randrange(6):
            case 0:
                data[place] ^= 1 << rng.randrange(8)
            case 1:
                del data[place]
            case 2:
                data.insert(place, data[place])
            case 3:
                data[:0] = rng.randbytes(3)
        if number % 8 == 7:
            data += RESYNC
        frames += decoder.feed(bytes(data))
        await receiver.send(bytes(data))
    assert receiver.frames == frames
    assert receiver.dropped == decoder.rejected
    assert len(frames) > 20
    assert decoder.rejected > 10
    write_report({"frames": len(frames), "dropped": decoder.rejected})


@cocotb.test()
async def payloads_of_every_edge_length(dut: Any) -> None:
    """None, one byte, and the longest."""
    receiver, rng = await begin(dut)
    frames = [Frame(1, number, rng.randbytes(length)) for number, length in enumerate((0, 1, 254, 255, 0))]
    for frame in frames:
        await receiver.send(encode_frame(Sync.REQUEST, frame))
    assert receiver.frames == frames
    assert receiver.dropped == 0


@cocotb.test()
async def a_lost_byte_ends_a_frame_at_once(dut: Any) -> None:
    """In each place of a frame it is one loss, outside a frame none; the next frame is received."""
    receiver, _ = await begin(dut)
    await receiver.lose()
    assert receiver.dropped == 0
    frame = Frame(2, 9, bytes([1, 2]))
    data = encode_frame(Sync.REQUEST, frame)
    for place in range(1, len(data)):
        await receiver.send(data[:place])
        await receiver.lose()
        assert receiver.dropped == place
        await receiver.send(data)
        assert receiver.frames == [frame] * place


@cocotb.test()
async def who_does_not_listen_hears_nothing(dut: Any) -> None:
    """A frame that begins, or ends, while the module does not listen is ignored without a word; so is one cut by a reset."""
    receiver, _ = await begin(dut)
    data = encode_frame(Sync.REQUEST, Frame(2, 7, b"abcdef"))
    assert data.count(Sync.REQUEST) == 1
    dut.listen_i.value = 0
    await receiver.send(data)
    await receiver.send(data[:5])
    dut.listen_i.value = 1
    await receiver.send(data[5:])
    await receiver.send(data[:5])
    dut.listen_i.value = 0
    await ClockCycles(dut.clk_i, 2)
    dut.listen_i.value = 1
    await receiver.send(data[5:])
    await receiver.send(data[:4])
    await reset(dut)
    await receiver.send(data[4:])
    assert (receiver.frames, receiver.dropped) == ([], 0)
    whole = Frame(3, 4, b"5")
    await receiver.send(encode_frame(Sync.REQUEST, whole))
    assert receiver.frames == [whole]
