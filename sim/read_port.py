"""Both sides of the lanes' read port, for benches: an address given with rd_valid answers after two cycles of rd_advance."""

import random
from collections.abc import Sequence
from typing import Any

from cocotb.triggers import RisingEdge

from sim.drivers import Pace, pauses


async def read_all(dut: Any, addresses: Sequence[int], pace: Pace, rng: random.Random) -> list[int]:
    """Read ``addresses`` through ``rd_valid_i``, ``rd_advance_i``, ``rd_addr_i``, ``rd_data_o``; returns unsigned words in the same order.

    Args:
        dut: The module with the port.
        addresses: Each is read, and thereby cleared, once.
        pace: How often the reader holds its pipeline.
        rng: Source of randomness.
    """
    waiting = pauses(pace, rng)
    # what is in the two stages of the port: whether they hold a read
    stages = [False, False]
    words: list[int] = []
    position = 0
    while len(words) < len(addresses):
        valid = position < len(addresses) and rng.random() < 0.9
        advance = not next(waiting)
        dut.rd_valid_i.value, dut.rd_advance_i.value = int(valid), int(advance)
        dut.rd_addr_i.value = addresses[position] if valid else rng.choice(addresses)
        await RisingEdge(dut.clk_i)
        if advance:
            position += valid
            complete, stages = stages[1], [valid, stages[0]]
            if complete:
                words.append(int(dut.rd_data_o.value))
    dut.rd_valid_i.value = 0
    dut.rd_advance_i.value = 0
    return words
