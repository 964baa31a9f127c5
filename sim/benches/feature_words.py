"""egru_feature_words: every event and every end comes out once, in order and at once; what is wrong is said, and dropped or put right."""

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from sim.drivers import Item, Link, Pace, StreamSink, StreamSource, reset, start
from sim.runner import bench_seed, write_report

PACES = [Pace.FULL, Pace.HEAVY, Pace.BURSTS]
WORDS = 400
WORD_BITS = 16
WORD_SIGNALS = ("valid_i", "ready_o", "last_i", "word_i")
ITEM_SIGNALS = ("valid_o", "ready_i", "end_o", "last_o", "index_o", "value_o")
INPUTS = ("valid_i", "ready_i", "last_i", "word_i")
#: Kinds of words, with how often each comes. What is wrong with a word stands in its name.
KINDS = {"event": 6, "end": 2, "end of sequence": 2, "event with last": 1, "no channel": 2, "no channel, with last": 1, "end with index": 2}


@dataclass(frozen=True)
class Word:
    """A word, and what becomes of it.

    Attributes:
        kind: Of `KINDS`.
        sent: Mark of the end of a sequence, and the word itself.
        item: What comes out: end, mark, index, value; None when nothing does.
    """

    kind: str
    sent: Item
    item: Item | None

    @property
    def wrong(self) -> bool:
        """Whether it breaks a rule."""
        return self.kind not in ("event", "end", "end of sequence")

    @property
    def ends(self) -> bool:
        """Whether it ends a step."""
        return self.item is not None and self.item[0] == 1


def random_word(kind: str, dut: Any, rng: random.Random) -> Word:
    """Return a word of one of `KINDS`."""
    channels, event_bits = int(dut.Channels.value), int(dut.EventBits.value)
    index_bits = WORD_BITS - event_bits

    def no_channel() -> int:
        """Return the first index that is none, one that differs from a channel's in a single bit, or any."""
        beyond, channel = range(channels, 1 << index_bits), rng.randrange(channels)
        flipped = [index for bit in range(index_bits) if (index := channel | 1 << bit) in beyond]
        return rng.choice([beyond[0], rng.choice(flipped or beyond), rng.choice(beyond)])

    last, index = int(kind in ("end of sequence", "event with last", "no channel, with last")), rng.randrange(channels)
    value = rng.choice([1 << rng.randrange(event_bits), rng.randrange(1, 1 << event_bits)])
    item: Item | None = (0, 0, index, value)
    if kind.startswith("end"):
        index = value = 0
        if kind == "end with index":
            last, index = rng.getrandbits(1), rng.choice([no_channel(), rng.randrange(1, max(channels, 2))])
        item = (1, last, 0, 0)
    elif kind.startswith("no channel"):
        index, item = no_channel(), None
    return Word(kind, (last, index << event_bits | value), item)


class WordChecker:
    """Holds, in every cycle, what is offered, taken, and said to be wrong or begun against the words.

    Attributes:
        taken: How many words were taken.
        stalls: Cycles in which a word waited.
        passed_a_stall: Words that came to nothing while nobody took items.
    """

    def __init__(self, dut: Any, words: list[Word]) -> None:
        """Start to watch; ``words`` may grow."""
        self.taken = self.stalls = self.passed_a_stall = 0
        self._dut, self._words = dut, words
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, begun = self._dut, False
        while True:
            await RisingEdge(dut.clk_i)
            assert int(dut.begun_o.value) == (begun and dut.rst_ni.value == 1)
            if dut.rst_ni.value != 1:
                begun = False
                continue
            ready = dut.ready_i.value == 1
            if dut.valid_i.value != 1:
                assert (int(dut.valid_o.value), int(dut.error_o.value)) == (0, 0)
                continue
            word = self._words[self.taken]
            taken = ready or word.item is None
            found = tuple(int(handle.value) for handle in (dut.valid_o, dut.ready_o, dut.error_o))
            assert found == (word.item is not None, taken, taken and word.wrong), f"{word}, the sink {'' if ready else 'not '}ready"
            self.stalls += not taken
            if taken:
                begun = not word.ends
                self.passed_a_stall += not ready
                self.taken += 1


@cocotb.test()
@cocotb.parametrize(idle=PACES, back_pressure=PACES)
async def words_become_items(dut: Any, idle: Pace, back_pressure: Pace) -> None:
    """Random words of all kinds in random order, with random idle cycles and back-pressure."""
    rng = random.Random(bench_seed())
    words = [random_word(kind, dut, rng) for kind in rng.choices(list(KINDS), list(KINDS.values()), k=WORDS)]
    items = [word.item for word in words if word.item is not None]
    await start(dut, inputs=INPUTS)
    checker = WordChecker(dut, words)
    source = StreamSource(Link.of(dut, *WORD_SIGNALS), idle, rng)
    sink = StreamSink(Link.of(dut, *ITEM_SIGNALS), back_pressure, rng, "items")
    source.send(*(word.sent for word in words))
    await source.drained()
    await RisingEdge(dut.clk_i)
    assert checker.taken == source.sent == WORDS
    assert sink.items == items
    if idle is back_pressure is Pace.FULL:
        places = [place for place, word in enumerate(words) if word.item is not None]
        assert [cycle - sink.monitor.cycles[0] for cycle in sink.monitor.cycles] == [place - places[0] for place in places], "one a cycle"
    if back_pressure is not Pace.FULL:
        assert checker.stalls == sink.monitor.stalls > 20
        assert checker.passed_a_stall > 0
    write_report({f"{idle.value} {back_pressure.value}": Counter(word.kind for word in words) | {"items": len(items)}})


@cocotb.test()
async def a_reset_forgets_a_step_that_has_begun(dut: Any) -> None:
    """Words of a step without its end, a reset, and so again and again."""
    rng = random.Random(bench_seed())
    words: list[Word] = []
    await start(dut, inputs=INPUTS)
    checker = WordChecker(dut, words)
    source = StreamSource(Link.of(dut, *WORD_SIGNALS), Pace.LIGHT, rng)
    sink = StreamSink(Link.of(dut, *ITEM_SIGNALS), Pace.LIGHT, rng, "items")
    for kind in ["event", "no channel"] * 5:
        batch = [random_word(each, dut, rng) for each in (rng.choice(["event", "end"]), kind)]
        words += batch
        source.send(*(word.sent for word in batch))
        await source.drained()
        await RisingEdge(dut.clk_i)
        assert dut.begun_o.value == 1
        await reset(dut)
        assert dut.begun_o.value == 0
    assert checker.taken == len(words)
    assert sink.items == [word.item for word in words if word.item is not None]
