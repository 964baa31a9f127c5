"""egru_rescale: equal to the one rounding function, `sw_model.fixed_point.rescale`, followed by saturation."""

import random
from typing import Any

import cocotb
from cocotb.triggers import Timer

from sim.drivers import to_signed, to_unsigned
from sim.runner import bench_seed, failure_folder
from sim.scoreboard import Scoreboard
from sw_model.fixed_point import rescale, saturate, signed_limits

RANDOM_VALUES = 3000


@cocotb.test()
async def equals_the_rounding_function(dut: Any) -> None:
    """All inputs of a narrow module; of a wide one the ends, the ties and random values."""
    rng = random.Random(bench_seed())
    in_bits, out_bits, shift = int(dut.InBits.value), int(dut.OutBits.value), dut.Shift.value.to_signed()
    low, high = signed_limits(out_bits)
    scoreboard = Scoreboard(failure_folder(), bench_seed(), context={"InBits": in_bits, "OutBits": out_bits, "Shift": shift})
    ties = clipped = 0
    for number, value in enumerate(_inputs(rng, in_bits, out_bits, shift)):
        dut.x_i.value = to_unsigned(value, in_bits)
        await Timer(1, "ns")
        exact = rescale(value, shift, 0)
        found = to_signed(int(dut.y_o.value), out_bits)
        scoreboard.check(number, "egru_rescale", f"result of {value}", [found], [saturate(exact, low, high)])
        ties += shift > 0 and value % (1 << shift) == 1 << (shift - 1)
        clipped += not low <= exact <= high
    assert scoreboard.values >= 1000
    assert ties >= 10 or shift <= 0
    assert clipped >= 10 or in_bits - shift <= out_bits


def _inputs(rng: random.Random, in_bits: int, out_bits: int, shift: int) -> list[int]:
    low, high = signed_limits(in_bits)
    if in_bits <= 12:
        return list(range(low, high + 1))
    half = 1 << max(shift - 1, 0)
    ties = [(2 * rng.randint(-50, 50) + 1) * half + offset for _ in range(100) for offset in (-1, 0, 1)]
    # around the places where the result begins to saturate
    edges = [(edge << max(shift, 0)) + rng.randint(-2 * half, 2 * half) for edge in signed_limits(out_bits) for _ in range(100)]
    values = [low, low + 1, high - 1, high, 0, -1, *ties, *edges, *(rng.randint(low, high) for _ in range(RANDOM_VALUES))]
    return [value for value in values if low <= value <= high]
