"""egru_frame_buffer: each half keeps what was written there, whatever happens in the other."""

import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from sim.drivers import start
from sim.runner import bench_seed

INPUTS = ["wr_reply_i", "wr_clear_i", "wr_valid_i", "wr_data_i", "rd_reply_i", "rd_clear_i", "rd_next_i"]
PAYLOAD = 255


async def pulse(dut: Any, name: str) -> None:
    """Raise an input for one cycle."""
    getattr(dut, name).value = 1
    await RisingEdge(dut.clk_i)
    getattr(dut, name).value = 0


async def write(dut: Any, half: int, data: bytes, rng: random.Random) -> None:
    """Write ``data`` from the start of a half, with pauses."""
    dut.wr_reply_i.value = half
    await pulse(dut, "wr_clear_i")
    for byte in data:
        await ClockCycles(dut.clk_i, rng.choice([1, 1, 3]))
        dut.wr_data_i.value = byte
        await pulse(dut, "wr_valid_i")
        dut.wr_data_i.value = rng.getrandbits(8)
    await ClockCycles(dut.clk_i, 2)
    assert int(dut.wr_count_o.value) == len(data)


async def read(dut: Any, half: int, count: int) -> bytes:
    """Read ``count`` bytes from the start of a half."""
    dut.rd_reply_i.value = half
    await pulse(dut, "rd_clear_i")
    found = []
    for place in range(count):
        await ClockCycles(dut.clk_i, 3)
        assert int(dut.rd_count_o.value) == place
        found.append(int(dut.rd_data_o.value))
        await pulse(dut, "rd_next_i")
    return bytes(found)


@cocotb.test()
async def the_halves_are_apart(dut: Any) -> None:
    """Full payloads in both halves, written and read in turn."""
    rng = random.Random(bench_seed())
    await start(dut, inputs=INPUTS)
    content = [b"", b""]
    for half, length in ((0, PAYLOAD), (1, PAYLOAD), (0, 1), (1, 17), (0, 100)):
        data = rng.randbytes(length)
        content[half] = data + content[half][length:]
        await write(dut, half, data, rng)
        for place in (0, 1):
            assert await read(dut, place, len(content[place])) == content[place]


@cocotb.test()
async def one_half_is_read_while_the_other_is_written(dut: Any) -> None:
    """As in a STEP."""
    rng = random.Random(bench_seed())
    await start(dut, inputs=INPUTS)
    request, reply = rng.randbytes(64), rng.randbytes(192)
    await write(dut, 0, request, rng)
    reader = cocotb.start_soon(read(dut, 0, len(request)))
    await write(dut, 1, reply, rng)
    assert await reader == request
    assert await read(dut, 1, len(reply)) == reply
