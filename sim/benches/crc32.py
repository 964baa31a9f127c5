"""egru_crc32: equals zlib's for any bytes; gives its own bytes in the order of the line; knows a right CRC from a wrong one."""

import random
import zlib
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from sim.drivers import start
from sim.runner import bench_seed

POLYNOMIAL = 0xEDB88320
INPUTS = ["clear_i", "valid_i", "drop_i", "data_i"]


async def pulse(dut: Any, name: str) -> None:
    """Raise an input for one cycle."""
    getattr(dut, name).value = 1
    await RisingEdge(dut.clk_i)
    getattr(dut, name).value = 0


async def divide(dut: Any, data: bytes) -> None:
    """Begin anew and take ``data``, each byte as soon as the one before is divided."""
    await pulse(dut, "clear_i")
    for byte in data:
        dut.data_i.value = byte
        await pulse(dut, "valid_i")
        dut.data_i.value = random.Random(byte).getrandbits(8)  # it need not stand
        for _ in range(8):
            await RisingEdge(dut.clk_i)
            assert dut.busy_o.value == 1
    await RisingEdge(dut.clk_i)
    assert dut.busy_o.value == 0


@cocotb.test()
async def equals_zlib(dut: Any) -> None:
    """The four bytes of the CRC, lowest first, of messages of every short length."""
    rng = random.Random(bench_seed())
    await start(dut, inputs=INPUTS)
    for length in [*range(12), 40]:
        message = rng.randbytes(length)
        await divide(dut, message)
        found = []
        for _ in range(4):
            await RisingEdge(dut.clk_i)
            found.append(int(dut.byte_o.value))
            dut.drop_i.value = 1
            dut.data_i.value = rng.getrandbits(8)
            await pulse(dut, "valid_i")
            dut.drop_i.value = 0
            await ClockCycles(dut.clk_i, rng.randint(8, 11))  # it stands for as long as nobody asks
        assert bytes(found) == zlib.crc32(message).to_bytes(4, "little")


@cocotb.test()
async def only_a_right_crc_is_good(dut: Any) -> None:
    """A message with its CRC is good; with any byte of either changed it is not."""
    rng = random.Random(bench_seed())
    await start(dut, inputs=INPUTS)
    good = rejected = 0
    for length in (0, 1, 6):
        message = rng.randbytes(length)
        whole = message + zlib.crc32(message).to_bytes(4, "little")
        await divide(dut, whole)
        good += int(dut.good_o.value)
        for place in range(len(whole)):
            bad = bytearray(whole)
            bad[place] ^= 1 << rng.randrange(8)
            await divide(dut, bytes(bad))
            rejected += 1 - int(dut.good_o.value)
    assert (good, rejected) == (3, 4 + 5 + 10)


def _wrong_in(bit: int) -> int:
    """Return what is to be changed in a CRC for the division to end with one bit wrong: 32 steps back from there."""
    change = 1 << bit
    for _ in range(32):
        change = (change ^ POLYNOMIAL) << 1 | 1 if change >> 31 else change << 1
    return change


@cocotb.test()
async def every_bit_of_what_is_left_counts(dut: Any) -> None:
    """A CRC that leaves a single bit wrong is not good, whichever bit that is."""
    await start(dut, inputs=INPUTS)
    message = b"12"
    for bit in range(32):
        await divide(dut, message + (zlib.crc32(message) ^ _wrong_in(bit)).to_bytes(4, "little"))
        assert dut.good_o.value == 0, f"bit {bit}"


@cocotb.test()
async def clear_ends_a_byte_under_way(dut: Any) -> None:
    """After it nothing is left of the byte."""
    await start(dut, inputs=INPUTS)
    await pulse(dut, "clear_i")
    dut.data_i.value = 0x55
    await pulse(dut, "valid_i")
    await ClockCycles(dut.clk_i, 3)
    await divide(dut, b"")
    await RisingEdge(dut.clk_i)
    assert dut.busy_o.value == 0
    assert int(dut.byte_o.value) == 0  # the CRC of nothing
