"""Drivers and monitors for benches: clock and reset, valid/ready streams, and the streams of the generated core.

Everything samples at the rising clock edge, where cocotb reads the values of the cycle that ends there, and drives new values that take
effect after it.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.queue import Queue
from cocotb.triggers import Event, RisingEdge, Timer
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

Item = tuple[int, ...]
CLOCK_PERIOD_NS = 10


class Pace(Enum):
    """How often a source idles or a sink refuses."""

    FULL = "full"
    LIGHT = "light"
    HEAVY = "heavy"
    BURSTS = "bursts"
    RARE = "rare"


def pauses(pace: Pace, rng: random.Random) -> Iterator[bool]:
    """Yield, for ever, whether to pause in the next cycle.

    Args:
        pace: FULL never pauses, LIGHT in 1 cycle of 4, HEAVY in 3 of 4; BURSTS goes and pauses for 1 to 24 cycles at a time; RARE
            goes in one cycle and pauses for 0 to 400.
        rng: Source of randomness.
    """
    if pace is Pace.BURSTS:
        while True:
            for pause in (False, True):
                for _ in range(rng.randint(1, 24)):
                    yield pause
    if pace is Pace.RARE:
        while True:
            yield False
            for _ in range(rng.randint(0, 400)):
                yield True
    probability = {Pace.FULL: 0.0, Pace.LIGHT: 0.25, Pace.HEAVY: 0.75}[pace]
    while True:
        yield rng.random() < probability


def pace_from(environment: Mapping[str, str], name: str) -> Pace:
    """Return the pace that the launcher of a bench chose through an environment variable; FULL when it did not."""
    return Pace(environment.get(name, Pace.FULL.value))


def start_clock(dut: Any) -> None:
    """Start ``clk_i``."""
    Clock(dut.clk_i, CLOCK_PERIOD_NS, "ns").start()


async def start(dut: Any, *, inputs: Iterable[str] = ()) -> None:
    """Start ``clk_i`` and reset.

    Args:
        dut: Top handle with ``clk_i`` and ``rst_ni``.
        inputs: Names of inputs that are held at 0 until somebody drives them.
    """
    for name in inputs:
        getattr(dut, name).value = 0
    # Registers start random: only an edge of the reset, before the first clock edge, reaches those that sit behind another register.
    dut.clk_i.value = 0
    dut.rst_ni.value = 1
    await Timer(1, "ns")
    dut.rst_ni.value = 0
    await Timer(1, "ns")
    start_clock(dut)
    await reset(dut)


async def reset(dut: Any, cycles: int = 3) -> None:
    """Hold ``rst_ni`` low for ``cycles`` clock cycles; at any time of a test."""
    dut.rst_ni.value = 0
    for _ in range(cycles):
        await RisingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    await RisingEdge(dut.clk_i)


async def wait_until(dut: Any, condition: Callable[[], bool], what: str, cycles: int = 100_000) -> int:
    """Wait for a condition at rising edges.

    Returns:
        Cycles waited.

    Raises:
        AssertionError: When ``condition`` does not come true within ``cycles``.
    """
    for waited in range(cycles):
        await RisingEdge(dut.clk_i)
        if condition():
            return waited
    raise AssertionError(f"waited {cycles} cycles in vain for {what}")


class PackedVector:
    """A packed input vector that several drivers share, each its own field."""

    def __init__(self, handle: Any) -> None:
        """Drive ``handle`` with 0."""
        self._handle, self._word = handle, 0
        handle.value = 0

    def field(self, low: int, bits: int) -> "PackedField":
        """Return the ``bits`` bits from bit ``low`` on, to be used like a handle."""
        return PackedField(self, low, bits)

    def fields(self, bits: int) -> list["PackedField"]:
        """Cut the whole vector into fields of ``bits`` bits, the least significant first."""
        return [self.field(low, bits) for low in range(0, len(self._handle), bits)]

    def read(self, low: int, bits: int) -> int:
        """Return a field as the simulator sees it."""
        return int(self._handle.value) >> low & ((1 << bits) - 1)

    def write(self, low: int, bits: int, value: int) -> None:
        """Drive a field; the others keep their value."""
        mask = (1 << bits) - 1
        self._word = self._word & ~(mask << low) | (value & mask) << low
        self._handle.value = self._word


class PackedField:
    """Some bits of a `PackedVector`; has ``value`` and a length like a handle."""

    def __init__(self, vector: PackedVector, low: int, bits: int) -> None:
        """See `PackedVector.field`."""
        self._vector, self._low, self._bits = vector, low, bits

    def __len__(self) -> int:
        """Return the number of bits."""
        return self._bits

    @property
    def value(self) -> int:
        """The field as an unsigned number."""
        return self._vector.read(self._low, self._bits)

    @value.setter
    def value(self, value: int) -> None:
        self._vector.write(self._low, self._bits, value)


class ReadyBit:
    """One bit of a packed output, to be used like a handle."""

    def __init__(self, handle: Any, bit: int) -> None:
        """Select ``bit``."""
        self._handle, self._bit = handle, bit

    @property
    def value(self) -> int:
        """The bit."""
        return int(self._handle.value) >> self._bit & 1


@dataclass(frozen=True)
class Link:
    """The signals of one valid/ready stream.

    Attributes:
        clock: Clock handle.
        valid: Valid handle.
        ready: Ready handle.
        payload: Payload handles; an item of the stream is one unsigned value for each, in this order.
        reset: Active-low reset handle; nothing is sampled while it is low.
    """

    clock: Any
    valid: Any
    ready: Any
    payload: tuple[Any, ...]
    reset: Any

    @classmethod
    def of(cls, dut: Any, valid: str, ready: str, *payload: str) -> "Link":
        """Make a link of ``dut``'s ports by name."""
        return cls(dut.clk_i, getattr(dut, valid), getattr(dut, ready), tuple(getattr(dut, name) for name in payload), dut.rst_ni)


class StreamSource:
    """Sends items over a valid/ready stream, with random idle cycles; the payload is random while valid is low, so nobody can lean on it.

    Attributes:
        sent: Number of items taken.
    """

    def __init__(self, link: Link, pace: Pace, rng: random.Random) -> None:
        """Start to drive ``link``."""
        self._link, self._rng, self._pauses = link, rng, pauses(pace, rng)
        self._queue: Queue[Item] = Queue()
        self._idle = Event()
        self._idle.set()
        self.sent = 0
        link.valid.value = 0
        cocotb.start_soon(self._run())

    def send(self, *items: Item) -> None:
        """Queue items; returns at once."""
        for item in items:
            self._queue.put_nowait(item)
        self._idle.clear()

    async def drained(self) -> None:
        """Wait until everything queued has been taken."""
        await self._idle.wait()

    async def _run(self) -> None:
        link = self._link
        while True:
            if self._queue.empty():
                self._idle.set()
            item = await self._queue.get()
            while next(self._pauses):
                await RisingEdge(link.clock)
            link.valid.value = 1
            self._drive(item)
            await RisingEdge(link.clock)
            while not (link.ready.value == 1 and link.reset.value == 1):
                await RisingEdge(link.clock)
            self.sent += 1
            link.valid.value = 0
            self._drive(tuple(self._rng.getrandbits(len(handle)) for handle in link.payload))

    def _drive(self, item: Item) -> None:
        for handle, value in zip(self._link.payload, item, strict=True):
            handle.value = value


class StreamMonitor:
    """Watches a valid/ready stream: records what is taken and checks that a stalled item neither changes nor goes away.

    Attributes:
        items: Items taken, in order.
        cycles: Clock cycle, counted from the monitor's start, in which each was taken.
        stalls: Cycles in which an item waited.
        idles: Cycles without an item.
    """

    def __init__(self, link: Link, name: str, on_item: Callable[[Item], None] | None = None) -> None:
        """Start to watch.

        Args:
            link: The stream.
            name: For messages.
            on_item: Called with every item taken; an exception in it fails the test.
        """
        self.items: list[Item] = []
        self.cycles: list[int] = []
        self.stalls = self.idles = 0
        self._link, self._name, self._on_item = link, name, on_item
        cocotb.start_soon(self._run())

    def clear(self) -> None:
        """Forget what was recorded."""
        self.items.clear()
        self.cycles.clear()
        self.stalls = self.idles = 0

    async def _run(self) -> None:
        link, cycle = self._link, 0
        waiting: Item | None = None
        while True:
            await RisingEdge(link.clock)
            cycle += 1
            if link.reset.value != 1:
                waiting = None
                continue
            if link.valid.value != 1:
                assert waiting is None, f"{self._name}: item {waiting} was withdrawn before it was taken"
                self.idles += 1
                continue
            item = tuple(int(handle.value) for handle in link.payload)
            assert waiting in (None, item), f"{self._name}: item {waiting} changed to {item} before it was taken"
            if link.ready.value == 1:
                waiting = None
                self.items.append(item)
                self.cycles.append(cycle)
                if self._on_item:
                    self._on_item(item)
            else:
                waiting = item
                self.stalls += 1


class StreamSink:
    """Takes items from a valid/ready stream with random back-pressure; `monitor` holds what was taken."""

    def __init__(
        self, link: Link, pace: Pace, rng: random.Random, name: str = "stream", on_item: Callable[[Item], None] | None = None
    ) -> None:
        """Start to drive ready; see `StreamMonitor` for ``name`` and ``on_item``."""
        self.monitor = StreamMonitor(link, name, on_item)
        self._link, self._pauses = link, pauses(pace, rng)
        link.ready.value = 0
        cocotb.start_soon(self._run())

    @property
    def items(self) -> list[Item]:
        """Items taken, in order."""
        return self.monitor.items

    async def wait_for(self, count: int, cycles: int = 100_000) -> None:
        """Wait until ``count`` items have been taken.

        Raises:
            AssertionError: After ``cycles`` clock cycles.
        """
        for _ in range(cycles):
            if len(self.items) >= count:
                return
            await RisingEdge(self._link.clock)
        raise AssertionError(f"only {len(self.items)} of {count} items came in {cycles} cycles")

    async def _run(self) -> None:
        while True:
            self._link.ready.value = int(not next(self._pauses))
            await RisingEdge(self._link.clock)


class EngineMonitor:
    """Watches the events inside an engine and hands on those of each finished step.

    Attributes:
        steps: Number of finished steps of the engine.
        stream: The `StreamMonitor` of its events, with stall counts.
    """

    def __init__(self, dut: Any, engine: Any, name: str, on_step: Callable[[int, list[tuple[int, int]]], None]) -> None:
        """Start to watch.

        Args:
            dut: Top handle with ``clk_i`` and ``rst_ni``.
            engine: Handle of an instance of a generated engine.
            name: For messages.
            on_step: Called when a step is over, with the engine's mask of layers that had a token in it, and the events (physical index,
                value) in the order sent.
        """
        self.steps = 0
        self._engine, self._on_step = engine, on_step
        self._events: list[tuple[int, int]] = []
        link = Link(dut.clk_i, engine.own_valid, engine.own_ready, (engine.own_index, engine.own_value), dut.rst_ni)
        self.stream = StreamMonitor(link, name, self._take)
        cocotb.start_soon(self._run())

    def finish(self) -> None:
        """Hand on the events of the last step, which no other one follows."""
        active, events, self._events = int(self._engine.active.value), self._events, []
        self.steps += 1
        self._on_step(active, events)

    def _take(self, item: Item) -> None:
        index, value = item
        self._events.append((index, value))

    async def _run(self) -> None:
        await RisingEdge(self._engine.step)  # before the first step there is nothing
        while True:
            await RisingEdge(self._engine.step)
            self.finish()


class EventStreamMonitor:
    """Watches the stream on which a core that came from HLS shows a layer's events, and hands on those of each finished step.

    Attributes:
        steps: Number of finished steps.
        stream: The `StreamMonitor` of the beats {TLAST, index, value}; the one with TLAST is no event.
    """

    def __init__(self, dut: Any, name: str, on_step: Callable[[int, list[tuple[int, int]]], None]) -> None:
        """Start to watch the signals ``{name}_valid`` and so on; ``on_step`` as for `EngineMonitor`, of one layer."""
        self.steps = 0
        self._on_step = on_step
        self._events: list[tuple[int, int]] = []
        signals = (getattr(dut, f"{name}_{signal}") for signal in ("valid", "ready", "data"))
        valid, ready, data = signals
        self.stream = StreamMonitor(Link(dut.clk_i, valid, ready, (data,), dut.rst_ni), name, self._take)

    def finish(self) -> None:
        """Check that no event waits for the end of its step."""
        assert not self._events, f"{len(self._events)} events without the end of their step"

    def _take(self, item: Item) -> None:
        (beat,) = item
        if beat >> 32:
            self.steps += 1
            events, self._events = self._events, []
            self._on_step(1, events)
        else:
            self._events.append((beat >> 16, beat & 0xFFFF))


class TokenDriver:
    """Sends token sequences over the core's AXI4-Stream input; TLAST marks the last token of a sequence."""

    def __init__(self, dut: Any, prefix: str, pace: Pace, rng: random.Random) -> None:
        """Connect to ``{prefix}_tdata`` and so on; ``dut`` has ``clk_i`` and ``rst_ni``."""
        # one lane as wide as the data: a frame is then a list of tokens, not of bytes
        self._source = AxiStreamSource(AxiStreamBus.from_prefix(dut, prefix), dut.clk_i, dut.rst_ni, reset_active_level=False, byte_lanes=1)
        self._source.log.setLevel("WARNING")
        self._source.set_pause_generator(pauses(pace, rng))

    async def send(self, tokens: Sequence[int]) -> None:
        """Queue one sequence."""
        await self._source.send(AxiStreamFrame(tdata=[int(token) for token in tokens]))

    async def drained(self) -> None:
        """Wait until everything queued has been taken."""
        await self._source.wait()


class LogitCollector:
    """Takes the core's AXI4-Stream output with random back-pressure and hands on the logits of each finished step.

    Attributes:
        steps: Number of finished steps.
        sequence_ends: Steps after which TLAST was set.
        stream: The underlying `StreamMonitor`, with its stall counts.
    """

    def __init__(
        self, dut: Any, prefix: str, classes: int, pace: Pace, rng: random.Random, on_step: Callable[[int, list[int]], None]
    ) -> None:
        """Connect to ``{prefix}_tdata`` (signed) and so on.

        Args:
            dut: Top handle with ``clk_i`` and ``rst_ni``.
            prefix: Of the stream's signals.
            classes: Logits per step.
            pace: Back-pressure.
            rng: Source of randomness.
            on_step: Called at the end of each step with the step's number, from 0, and its logits in class order.
        """
        sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, prefix), dut.clk_i, dut.rst_ni, reset_active_level=False, byte_lanes=1)
        sink.log.setLevel("WARNING")
        sink.set_pause_generator(pauses(pace, rng))
        names = [f"{prefix}_{signal}" for signal in ("tvalid", "tready", "tdata", "tlast")]
        self._bits = len(getattr(dut, names[2]))
        self._classes, self._on_step = classes, on_step
        self._current: list[int] = []
        self.steps = 0
        self.sequence_ends: list[int] = []
        self.stream = StreamMonitor(Link.of(dut, *names), prefix, self._take)

    def _take(self, item: Item) -> None:
        word, last = item
        self._current.append(to_signed(word, self._bits))
        complete = len(self._current) == self._classes
        assert complete or not last, f"TLAST after {len(self._current)} of {self._classes} logits in step {self.steps}"
        if complete:
            finished, self._current = self._current, []
            step, self.steps = self.steps, self.steps + 1
            if last:
                self.sequence_ends.append(step)
            self._on_step(step, finished)


def to_signed(word: int, bits: int) -> int:
    """Read ``bits`` bits of ``word`` as a two's complement number."""
    word &= (1 << bits) - 1
    return word - ((word >> (bits - 1)) << bits)


def to_unsigned(value: int, bits: int) -> int:
    """Return the two's complement code of ``value`` in ``bits`` bits."""
    return value & ((1 << bits) - 1)
