"""egru_column_directory: every item comes with its column's places; the bus is stopped before a lane runs out of places."""

import random
from collections import deque
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from hls_gen.memory_image import MemoryImage
from sim.drivers import Item, Pace, pauses, start
from sim.runner import BenchResult, Parameter, bench_seed, run_bench

ITEMS = 600
# What a lane still takes when it says that it is nearly full, see egru_lane.sv.
RESERVE = 5
COUNT_BITS = 3


def launch(lanes: int, columns: int, place_bits: int, seed: int) -> BenchResult:
    """Run the bench on random places."""
    image = MemoryImage("places", lanes * place_bits, _words(lanes * place_bits, columns, seed))
    parameters: dict[str, Parameter] = {
        "Lanes": lanes,
        "Columns": columns,
        "PlaceBits": place_bits,
        "EventBits": 7,
        "DirectoryFile": image.name,
    }
    return run_bench("egru_column_directory", "sim.benches.column_directory", parameters=parameters, files=image.files(), seed=seed)


def _words(bits: int, columns: int, seed: int) -> tuple[int, ...]:
    rng = random.Random(seed)
    return tuple(rng.getrandbits(bits) for _ in range(columns))


class Bus:
    """Plays the sequencer: an item is put on the bus in the cycle after one without a stall."""

    def __init__(self, dut: Any, items: list[Item], idle: Pace, rng: random.Random) -> None:
        """Start to drive ``items`` {end, column, value}."""
        self.left, self.stalls = deque(items), 0
        self._dut, self._pauses, self._rng = dut, pauses(idle, rng), rng
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, rng = self._dut, self._rng
        handles = (dut.bus_end_i, dut.bus_column_i, dut.bus_value_i)
        while True:
            await RisingEdge(dut.clk_i)
            stalled = dut.stall_o.value == 1
            self.stalls += stalled and bool(self.left)
            valid = bool(self.left) and not stalled and not next(self._pauses)
            noise = (rng.getrandbits(1), rng.randrange(int(dut.Columns.value)), rng.getrandbits(len(dut.bus_value_i)))
            dut.bus_valid_i.value = int(valid)
            for handle, value in zip(handles, self.left.popleft() if valid else noise, strict=True):
                handle.value = value


class Lane:
    """Plays a lane: a queue that an item enters unless its column is empty there, and that is emptied at the lane's own pace.

    What it holds is counted in the next cycle; that it is nearly full it says one later, see egru_lane.sv.

    Attributes:
        fullest: Most items that it held.
        refused: Items for which there was no place.
        items: Items that came, {end, value, place}; the place of an end means nothing.
    """

    def __init__(self, number: int, depth: int, pace: Pace, rng: random.Random) -> None:
        """Start empty."""
        self.fullest = self.refused = self._held = 0
        self.items: list[Item] = []
        self._number, self._depth, self._pauses = number, depth, pauses(pace, rng)

    def cycle(self, dut: Any) -> bool:
        """Take what comes in this cycle; return whether the lane is nearly full in the next one."""
        bits, nearly_full = int(dut.PlaceBits.value), self._held >= self._depth - RESERVE
        popped = self._held > 0 and not next(self._pauses)
        if dut.item_valid_o.value == 1:
            end = int(dut.item_end_o.value)
            place = 0 if end else int(dut.item_place_o.value) >> bits * self._number & (1 << bits) - 1
            self.items.append((end, int(dut.item_value_o.value), place))
            if end or place % (1 << COUNT_BITS):
                self.refused += self._held == self._depth
                self._held += 1
        self._held -= popped
        self.fullest = max(self.fullest, self._held)
        return nearly_full


@cocotb.test()
@cocotb.parametrize(idle=[Pace.FULL, Pace.LIGHT, Pace.BURSTS], taking=[Pace.FULL, Pace.HEAVY, Pace.BURSTS], depth=[RESERVE + 1, 12])
async def gives_every_item_its_places(dut: Any, idle: Pace, taking: Pace, depth: int) -> None:
    """Random columns at every pace; the smallest queue and a larger one fill to the last place and never beyond."""
    rng = random.Random(bench_seed())
    columns, lanes, bits = (int(getattr(dut, name).value) for name in ("Columns", "Lanes", "PlaceBits"))
    await start(dut, inputs=["bus_valid_i", "bus_column_i", "nearly_full_i"])
    # every column once
    order = [*range(columns), *(rng.randrange(columns) for _ in range(ITEMS - columns))]
    items: list[Item] = [(int(rng.random() < 0.1), column, rng.getrandbits(7)) for column in order]
    bus = Bus(dut, items, idle, rng)
    queues = [Lane(number, depth, taking, rng) for number in range(lanes)]
    for _ in range(20 * ITEMS):
        await RisingEdge(dut.clk_i)
        if dut.rst_ni.value == 1:
            dut.nearly_full_i.value = sum(queue.cycle(dut) << number for number, queue in enumerate(queues))
        if min(len(queue.items) for queue in queues) == ITEMS:
            break
    words = _words(lanes * bits, columns, bench_seed())
    for number, queue in enumerate(queues):
        places = [words[column] >> bits * number & (1 << bits) - 1 for _, column, _ in items]
        assert queue.items == [(end, value, 0 if end else place) for (end, _, value), place in zip(items, places, strict=True)]
        assert queue.refused == 0, f"lane {number} had no place for {queue.refused} items"
    fullest = max(queue.fullest for queue in queues)
    if taking is not Pace.FULL and idle is not Pace.LIGHT:
        assert fullest == depth, f"the margin is too large: no queue held more than {fullest} of {depth}"
        assert bus.stalls > 100
