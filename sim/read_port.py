"""Both sides of a lane's read port, for benches.

An address given with rd_valid is answered READ_CYCLES later; in every other cycle the answer is 0.
"""

import random
from collections import deque
from collections.abc import Sequence
from typing import Any

from cocotb.triggers import RisingEdge

from sim.drivers import Pace, pauses

READ_CYCLES = 3


async def read_all(dut: Any, addresses: Sequence[int], pace: Pace, rng: random.Random) -> list[int]:
    """Read ``addresses`` through ``rd_valid_i``, ``rd_addr_i``, ``rd_data_o``; returns unsigned words in the same order.

    Args:
        dut: The module with the port.
        addresses: Each is read, and thereby emptied, once.
        pace: How often the reader idles.
        rng: Source of randomness.
    """
    waiting, left = pauses(pace, rng), deque(addresses)
    under_way = deque([False] * READ_CYCLES)
    words: list[int] = []
    while len(words) < len(addresses):
        valid = bool(left) and not next(waiting)
        dut.rd_valid_i.value = int(valid)
        dut.rd_addr_i.value = left.popleft() if valid else rng.choice(addresses)
        await RisingEdge(dut.clk_i)
        under_way.append(valid)
        word = int(dut.rd_data_o.value)
        if under_way.popleft():
            words.append(word)
        else:
            assert word == 0, f"rd_data_o is {word} in a cycle without an answer"
        dut.rd_valid_i.value = 0
    return words


async def empty_all(dut: Any, addresses: Sequence[int], rng: random.Random) -> None:
    """Empty both banks at ``addresses`` as after every reset, and wait until that has reached the memory."""
    dut.rd_both_i.value = 1
    for address in addresses:
        dut.rd_valid_i.value, dut.rd_addr_i.value = 1, address
        await RisingEdge(dut.clk_i)
    dut.rd_both_i.value = dut.rd_valid_i.value = 0
    for _ in range(READ_CYCLES + 1):
        dut.rd_addr_i.value = rng.choice(addresses)
        await RisingEdge(dut.clk_i)
