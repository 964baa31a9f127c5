"""egru_column_walker: for every event the entries of its column with its value, one operation a cycle, ends in their place."""

import random
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from hls_gen.memory_image import MemoryImage
from sim.drivers import Item, Link, Pace, StreamMonitor, StreamSource, start, wait_until
from sim.runner import BenchResult, Parameter, bench_seed, run_bench

EVENTS = 500
GATES = 3
END_SHARE = 0.15
Operation = tuple[int, int, int]  # end, value, entry; of an end only that it is one
END: Operation = (1, 0, 0)


@dataclass(frozen=True)
class Shape:
    """Parameters of one build; `start_bits` may exceed what the entries need, as it does in all lanes but the fullest."""

    entries: int
    row_bits: int
    field_bits: int
    weight_bits: int
    group: bool
    start_bits: int

    @property
    def count_bits(self) -> int:
        """Bits that count all entries."""
        return self.entries.bit_length()

    @property
    def entry_bits(self) -> int:
        """Width of an entry."""
        return self.row_bits + (1 + GATES * self.weight_bits if self.group else self.field_bits + self.weight_bits)

    def words(self, seed: int) -> tuple[int, ...]:
        """Draw the entry memory."""
        rng = random.Random(seed)
        return tuple(rng.getrandbits(self.entry_bits) for _ in range(self.entries))

    def operations(self, word: int) -> list[int]:
        """Return the entries {row, field, weight} of the operations that one word of the memory becomes."""
        if not self.group:
            return [word]
        bits = self.weight_bits
        z, r, g = (word >> place * bits & (1 << bits) - 1 for place in range(GATES))
        recurrent, row = word >> GATES * bits & 1, word >> (GATES * bits + 1)
        return [(row << 2 | field) << bits | weight for field, weight in ((3, z), (0, r), (1 if recurrent else 2, g))]


SHAPES = {
    "engine": Shape(entries=37, row_bits=4, field_bits=2, weight_bits=8, group=False, start_bits=8),
    "decoder": Shape(entries=64, row_bits=3, field_bits=0, weight_bits=4, group=False, start_bits=6),
    "groups of gates": Shape(entries=21, row_bits=5, field_bits=2, weight_bits=6, group=True, start_bits=5),
    "one entry": Shape(entries=1, row_bits=1, field_bits=2, weight_bits=2, group=False, start_bits=1),
}


def launch(name: str, seed: int) -> BenchResult:
    """Run the bench on random entries in the shape ``name``."""
    shape = SHAPES[name]
    image = MemoryImage("entries", shape.entry_bits, shape.words(seed))
    parameters: dict[str, Parameter] = {
        "Entries": shape.entries,
        "RowBits": shape.row_bits,
        "FieldBits": shape.field_bits,
        "WeightBits": shape.weight_bits,
        "Group": shape.group,
        "StartBits": shape.start_bits,
        "CountBits": shape.count_bits,
        "EventBits": 6,
        "EntryFile": image.name,
    }
    return run_bench("egru_column_walker", "sim.benches.column_walker", parameters=parameters, files=image.files(), seed=seed)


class OperationMonitor:
    """Records operations and the cycles in which they came."""

    def __init__(self, dut: Any) -> None:
        """Start to watch."""
        self.operations: list[Operation] = []
        self.cycles: list[int] = []
        self._dut = dut
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, cycle = self._dut, 0
        while True:
            await RisingEdge(dut.clk_i)
            cycle += 1
            weight, end = dut.op_valid_o.value == 1, dut.op_end_o.value == 1
            assert not (weight and end)
            if weight or end:
                assert dut.busy_o.value == 1
                self.cycles.append(cycle)
                self.operations.append(END if end else (0, int(dut.op_value_o.value), int(dut.op_entry_o.value)))


@cocotb.test()
@cocotb.parametrize(idle=[Pace.FULL, Pace.LIGHT, Pace.HEAVY, Pace.BURSTS])
async def walks_every_column(dut: Any, idle: Pace) -> None:
    """Columns of one entry, of some and of all, with ends between; while events wait, every cycle gives an operation."""
    rng, shape = random.Random(bench_seed()), _shape(dut)
    link = Link.of(dut, "valid_i", "ready_o", "end_i", "before_i", "count_i", "value_i")
    source, items = StreamSource(link, idle, rng), StreamMonitor(link, "events")
    await start(dut, inputs=["valid_i"])
    monitor = OperationMonitor(dut)
    sent = [_item(rng, shape) for _ in range(EVENTS)]
    source.send(*sent)
    await source.drained()
    await wait_until(dut, lambda: dut.busy_o.value == 0, "the end of the walk")
    expected = _expected(shape, sent)
    assert monitor.operations == expected
    if idle is Pace.FULL:
        assert monitor.cycles[-1] - monitor.cycles[0] + 1 == len(expected), "a gap between columns"
    _check_exercised(shape, sent)
    assert shape.entries == 1 or items.stalls > EVENTS // 2


@cocotb.test()
async def rests_between_columns(dut: Any) -> None:
    """Single items, each after the one before has left: nothing is left over, and the walker says so."""
    rng, shape = random.Random(bench_seed()), _shape(dut)
    source = StreamSource(Link.of(dut, "valid_i", "ready_o", "end_i", "before_i", "count_i", "value_i"), Pace.FULL, rng)
    await start(dut, inputs=["valid_i"])
    monitor = OperationMonitor(dut)
    for _ in range(50):
        monitor.operations.clear()
        item = _item(rng, shape)
        source.send(item)
        await source.drained()
        await wait_until(dut, lambda: dut.busy_o.value == 0, "rest")
        assert monitor.operations == _expected(shape, [item])


def _shape(dut: Any) -> Shape:
    names = ("Entries", "RowBits", "FieldBits", "WeightBits", "Group", "StartBits")
    entries, row_bits, field_bits, weight_bits, group, start_bits = (int(getattr(dut, name).value) for name in names)
    return Shape(entries, row_bits, field_bits, weight_bits, bool(group), start_bits)


def _expected(shape: Shape, items: list[Item]) -> list[Operation]:
    words = shape.words(bench_seed())
    expected: list[Operation] = []
    for is_end, before, count, value in items:
        first = _first(shape, before)
        column = words[first : first + count]
        expected += [END] if is_end else [(0, value, entry) for word in column for entry in shape.operations(word)]
    return expected


def _item(rng: random.Random, shape: Shape) -> Item:
    value = rng.getrandbits(6)
    if rng.random() < END_SHARE:
        return (1, rng.getrandbits(shape.start_bits), rng.getrandbits(shape.count_bits), value)  # of an end only that it is one
    length = min(shape.entries, rng.choice([1, 1, 1, 2, 3, rng.randint(1, shape.entries), shape.entries]))
    # The address before 0 is the last one.
    return (0, (rng.randint(0, shape.entries - length) - 1) % (1 << shape.start_bits), length, value)


def _first(shape: Shape, before: int) -> int:
    return (before + 1) % (1 << shape.start_bits)


def _check_exercised(shape: Shape, items: list[Item]) -> None:
    lengths = [0 if is_end else count for is_end, _, count, _ in items]
    pairs = list(pairwise(lengths))
    assert pairs.count((1, 1)) > 30, "columns of one entry that follow each other"
    assert pairs.count((0, 0)) > 3, "ends that follow each other"
    assert pairs.count((1, 0)) > 10
    assert pairs.count((0, 1)) > 10
    assert lengths.count(shape.entries) > 20
    read = {_first(shape, before) + place for (_, before, _, _), length in zip(items, lengths, strict=True) for place in range(length)}
    assert read == set(range(shape.entries))
