"""When things happen in the generated datapath: its blocks as an event-driven simulation, exact to the clock cycle.

Values are not computed: who fires is given. Nothing loops over clock cycles; what is simulated are the items on the buses, the rows that
the update units take, and the moments at which a queue makes room. A cycle number names the cycle in which something is true in the RTL;
cycle 0 is the first one out of reset.

Every moment knows what it waited for (`Moment`), so that the cycles of a run can be put down to causes afterwards.

The latencies below are those of the modules in rtl_templates; they stand nowhere else.
"""

import heapq
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

# egru_step_sequencer, egru_column_directory: bus register, directory memory (two cycles); then the item is in the lanes' queues.
BUS_TO_QUEUE = 3
# egru_fifo: an item can be taken in the cycle after it came.
QUEUE_TO_LANE = 1
# egru_fifo, egru_lane, egru_column_directory: the queue's counter, nearly_full_o, stall_o; from a push or a take to the bus.
QUEUE_TO_STALL = 3
# egru_lane: places of a queue that stay free for what is on its way when the bus stops.
QUEUE_RESERVE = 5
# egru_column_walker, egru_lane: the last operation of an item is over this many cycles after the walker has gone to the next one.
WALKER_STAGES = 2
# egru_column_walker, egru_accumulator, egru_row_reader: from the take of the end item to the first cycle in which a row may be read.
END_TO_ROWS = 5
# egru_row_reader: cycles in which a row's sums are addressed.
ROW_CYCLES = 4
# egru_update_unit: from the take of a row to its last stage (stage 0 is one cycle after the take); the event can leave the unit's queue one
# cycle later.
UPDATE_STAGES = 15
# egru_update_unit: places of its queue beyond those in use that a row needs to be taken: Reserve.
UNIT_RESERVE = 4
# egru_update_unit: from a change of the places in use to the turns (valid_0_q or silent_q or pop_q, reserved_q, place_free_q).
PLACE_TO_TURN = 3
# egru_update_unit: likewise to empty_o.
PLACE_TO_EMPTY = 2
# engine.sv.j2: update_done_q, after the readers rest and the units are empty.
EMPTY_TO_DONE = 1
# egru_arbiter: from the choice of an event to the sequencer; events that wait there.
ARBITER = 1
ARBITER_PLACES = 2
# egru_readout: from the take of the last end item to the first class; from a class to its logit on m_axis; from there to done_o.
END_TO_CLASSES = 5
CLASS_TO_LOGIT = 7
LOGIT_TO_DONE = 1
# engine.sv.j2: ready_q, after the clearing of the memories.
CLEARED_TO_READY = 1

NEVER = 1 << 60
_RING = 128  # takes remembered per lane: more than the places of a queue


class Term(StrEnum):
    """What cycles are spent on."""

    LANES = "work of the busiest lane"
    BUS = "broadcast bus, one item a cycle"
    UPDATE = "element-wise update"
    LATENCY = "latency between steps"
    READOUT = "read-out of the logits"


class Moment:
    """Something that happened, and the moment that it waited for.

    Attributes:
        time: Its clock cycle.
        term: What the cycles since ``previous`` were spent on.
        block: Name of the block where they were spent.
        previous: None at the beginning.
    """

    __slots__ = ("block", "previous", "term", "time")

    def __init__(self, time: int, term: Term, block: str, previous: "Moment | None") -> None:
        self.time, self.term, self.block, self.previous = time, term, block, previous


@dataclass(frozen=True)
class EngineStep:
    """What the lanes of an engine find in one of their steps.

    Attributes:
        fired: bool, shape (lanes, rows): the neurons that send an event.
        active: Per layer of the engine whether it has a token in this step.
        last: Per layer whether that token ends its sequence.
    """

    fired: np.ndarray
    active: tuple[bool, ...]
    last: tuple[bool, ...]


@dataclass(frozen=True)
class _StreamItem:
    """An event with its physical index, or the end of a step."""

    index: int | None
    moment: Moment


class Stream:
    """An egru_fifo between two blocks: what is pushed in one cycle can be taken in the next, and so can the place of what is taken."""

    def __init__(self, depth: int) -> None:
        self.made_room: Moment | None = None
        self.writer: Block | None = None
        self.reader: Block | None = None
        self._depth = depth
        self._items: deque[_StreamItem] = deque()
        self._pushed_at = self._popped_at = -1

    def ready(self, cycle: int) -> bool:
        """Say whether there is a place."""
        return len(self._items) - (self._pushed_at == cycle) + (self._popped_at == cycle) < self._depth

    def push(self, cycle: int, index: int | None, cause: Moment) -> None:
        """Put in an event, or the end of a step; ``cause`` is why now."""
        self._pushed_at = cycle
        self._items.append(_StreamItem(index, Moment(cycle + 1, Term.LATENCY, cause.block, cause)))
        if self.reader:
            self.reader.call(cycle + 1)

    def head(self, cycle: int) -> _StreamItem | None:
        """Return what can be taken."""
        return self._items[0] if self._items and self._items[0].moment.time <= cycle else None

    def pop(self, cycle: int, cause: Moment) -> None:
        """Take it; ``cause`` is why now."""
        self._popped_at = cycle
        self._items.popleft()
        self.made_room = cause
        if self.writer:
            self.writer.call(cycle + 1)


class TokenStream(Stream):
    """The source of tokens: the next one always waits."""

    def __init__(self, tokens: int) -> None:
        super().__init__(tokens)
        self._left, self._token = tokens, _StreamItem(None, Moment(0, Term.LATENCY, "tokens", None))

    def head(self, cycle: int) -> _StreamItem | None:
        """Return what can be taken."""
        if not self._token.moment.time:
            self._token = _StreamItem(None, Moment(cycle, Term.LATENCY, "tokens", None))  # time begins with the first token
        return self._token if self._left else None

    def pop(self, cycle: int, cause: Moment) -> None:
        """Take it; ``cause`` is why now."""
        self._left -= 1


class WordStream(TokenStream):
    """The source of a feature stream: of each step its events in the order of the channels, then the end; the next word always waits."""

    def __init__(self, inputs: np.ndarray) -> None:
        """Send the events of ``inputs``, bool, shape (steps, channels)."""
        words: list[int | None] = []
        for step in inputs:
            words += [*np.flatnonzero(step).tolist(), None]
        super().__init__(len(words))
        self._words = deque(words)

    def head(self, cycle: int) -> _StreamItem | None:
        """Return what can be taken."""
        first = super().head(cycle)
        return None if first is None else _StreamItem(self._words[0], first.moment)

    def pop(self, cycle: int, cause: Moment) -> None:
        """Take it; ``cause`` is why now."""
        super().pop(cycle, cause)
        self._words.popleft()


@dataclass(frozen=True)
class _Request:
    """An item that waits for the bus.

    Attributes:
        column: None for the end of a step.
        since: When it began to wait, and why not before.
    """

    column: int | None
    since: Moment


class Lanes:
    """The lanes of a block behind the broadcast bus: queues and column walkers, all lanes at once."""

    def __init__(self, name: str, operations: np.ndarray, queue_depth: int) -> None:
        """Begin with idle lanes.

        Args:
            name: Of the block.
            operations: int64, shape (columns, lanes): operations that walk each column.
            queue_depth: Places in each queue.
        """
        columns, lanes = operations.shape
        self.sent = np.zeros(columns, np.int64)  # how often each column went over the bus
        self.working = np.zeros(lanes, np.int64)  # cycles with an item in queue or walker
        self.items: list[Moment] = []
        self._name, self._operations, self._threshold = name, operations, queue_depth - QUEUE_RESERVE
        self._lane = np.arange(lanes)
        self._one = np.ones(lanes, np.int64)
        self._free = np.zeros(lanes, np.int64)  # cycle in which the walker can take the next item
        self._over = np.full(lanes, -1, np.int64)  # last cycle with work
        self._origin = np.zeros(lanes, np.int64)  # item that ended the lane's last idleness
        self._filled = np.zeros(lanes, np.int64)  # items that went to the lane
        self._take = np.full((lanes, _RING), -NEVER, np.int64)  # cycle of each take, by the item's number
        self._take_origin = np.zeros((lanes, _RING), np.int64)
        self._recent: deque[tuple[int, np.ndarray]] = deque()  # items that stall_o does not know of yet
        self._certainly_free = -NEVER

    def free_from(self, cycle: int) -> int:
        """Return the first cycle from ``cycle`` on in which the bus is not stalled by what has been sent."""
        while cycle < self._certainly_free:
            filled = self._known(cycle)
            free = int(self._take[self._lane, (filled - self._threshold) % _RING].max()) + QUEUE_TO_STALL
            if free <= cycle:
                break
            cycle = free
        return cycle

    def stall_cause(self, cycle: int) -> Moment:
        """Return the take that freed the bus in ``cycle``."""
        place = (self._known(cycle) - self._threshold) % _RING
        lane = int(self._take[self._lane, place].argmax())
        return self._taken(int(self._take[lane, place[lane]]), int(self._take_origin[lane, place[lane]]))

    def send(self, cycle: int, column: int | None, moment: Moment) -> None:
        """Put an item on the bus: an event by its column, or the end of a step."""
        count = self._one if column is None else self._operations[column]
        enters = count > 0
        arrives = cycle + BUS_TO_QUEUE + QUEUE_TO_LANE
        take = np.maximum(self._free, arrives)
        over = take + count + WALKER_STAGES
        self._origin = np.where(enters & (self._free <= arrives), len(self.items), self._origin)
        self.items.append(moment)
        self.working += np.where(enters, over - np.maximum(arrives - 1, self._over), 0)
        self._free = np.where(enters, take + count, self._free)
        self._over = np.where(enters, over, self._over)
        lane = self._lane[enters]
        place = self._filled[enters] % _RING
        self._take[lane, place] = take[enters]
        self._take_origin[lane, place] = self._origin[enters]
        self._filled += enters
        self._recent.append((cycle, enters))
        self._certainly_free = int(self._take[self._lane, (self._filled - self._threshold) % _RING].max()) + QUEUE_TO_STALL
        if column is not None:
            self.sent[column] += 1

    def ends(self) -> tuple[np.ndarray, list[Moment]]:
        """Return for each lane the cycle in which it takes the item sent last, which must be an end, and that moment's history."""
        take = self._free - 1
        return take, [self._taken(time, origin) for time, origin in zip(take.tolist(), self._origin.tolist(), strict=True)]

    def _known(self, cycle: int) -> np.ndarray:
        """Return the items of each lane that the stall of ``cycle`` rests on."""
        while self._recent and self._recent[0][0] + BUS_TO_QUEUE + QUEUE_TO_STALL <= cycle:
            self._recent.popleft()
        filled = self._filled
        for _, enters in self._recent:
            filled = filled - enters
        return filled

    def _taken(self, time: int, origin: int) -> Moment:
        sent = self.items[origin]
        arrived = Moment(sent.time + BUS_TO_QUEUE + QUEUE_TO_LANE, Term.LATENCY, self._name, sent)
        return Moment(time, Term.LANES, self._name, arrived)


class Block(ABC):
    """An egru_step_sequencer with its lanes; what follows the lanes is for the subclasses."""

    def __init__(self, name: str, lanes: Lanes, source: Stream, ready: int) -> None:
        """Begin after reset.

        Args:
            name: For moments.
            lanes: Its lanes.
            source: Where its input comes from.
            ready: First cycle in which its memories are cleared.
        """
        self.name, self.lanes, self.next_cycle = name, lanes, ready
        source.reader = self
        self._source, self._ready = source, ready
        self._input_ended: Moment | None = None
        self._updated: Moment | None = Moment(ready, Term.LATENCY, name, None)  # None during an update
        self._step: Moment | None = None  # the end item sent last

    def call(self, cycle: int) -> None:
        """Have `run` called in ``cycle`` or before."""
        self.next_cycle = min(self.next_cycle, cycle)

    def run(self, cycle: int) -> None:
        """Do what happens in ``cycle``, and call itself and others for what follows."""
        if cycle < self._ready:
            self.call(self._ready)
            return
        # Registers: what happens in this cycle is seen in the next.
        head = self._source.head(cycle) if self._input_ended is None else None
        own = self._own_request()
        request = own or self._end_request(cycle) or self._input_request(head)
        sent = self._broadcast(cycle, request) if request else None
        self._update(cycle, sent if own else None)
        if head and head.index is None:
            self._take_end(cycle, head)
        if sent and request and not own:
            if request.column is None:
                self._begin(sent)
            else:
                self._source.pop(cycle, sent)

    def _own_request(self) -> _Request | None:
        return None

    def _end_request(self, cycle: int) -> _Request | None:
        if self._updated is None or not self._may_end():
            return None
        if self._updated.time > cycle:
            self.call(self._updated.time)
            return None
        ended = self._input_ended
        return _Request(None, ended if ended and ended.time > self._updated.time else self._updated)

    def _input_request(self, head: _StreamItem | None) -> _Request | None:
        if head is None or head.index is None:
            return None
        return _Request(self._input_column(head.index), self._allowed(head))

    def _allowed(self, head: _StreamItem) -> Moment:
        """Return since when ``head`` may be taken: it has come, and the step before has ended."""
        if self._step and self._step.time >= head.moment.time:
            return Moment(self._step.time + 1, Term.LATENCY, self.name, self._step)
        return head.moment

    def _broadcast(self, cycle: int, request: _Request) -> Moment | None:
        free = self.lanes.free_from(cycle)
        if free > cycle:
            self.call(free)
            return None
        last = self.lanes.items[-1] if self.lanes.items else None
        if last is None or request.since.time >= cycle:
            sent = Moment(cycle, Term.LATENCY, self.name, request.since)
        elif last.time == cycle - 1:
            sent = Moment(cycle, Term.BUS, self.name, last)
        else:
            sent = Moment(cycle, Term.LATENCY, self.name, self.lanes.stall_cause(cycle))
        self.lanes.send(cycle, request.column, sent)
        self.call(cycle + 1)
        return sent

    def _take_end(self, cycle: int, head: _StreamItem) -> None:
        self._input_ended = Moment(cycle + 1, Term.LATENCY, self.name, self._allowed(head))
        self._source.pop(cycle, self._input_ended)
        self.call(cycle + 1)

    def _begin(self, sent: Moment) -> None:
        self._input_ended = self._updated = None
        self._step = sent

    def _may_end(self) -> bool:
        return self._input_ended is not None

    def _input_column(self, index: int) -> int:
        return index

    @abstractmethod
    def _update(self, cycle: int, own_sent: Moment | None) -> None:
        """Go on with what follows the lanes; ``own_sent``: the own event that waited has just gone over the bus."""


class Decoder(Block):
    """The decoder: its sums are read in class order when all lanes have finished.

    Attributes:
        steps: Steps of which every logit is taken.
        last_logit: That of the step begun last.
    """

    def __init__(self, lanes: Lanes, source: Stream, rows: int, classes: int) -> None:
        """Begin after reset with ``rows`` rows to clear."""
        super().__init__("decoder", lanes, source, rows)
        self.steps = 0
        self.last_logit = Moment(rows, Term.READOUT, self.name, None)
        self._classes = classes

    def _begin(self, sent: Moment) -> None:
        super()._begin(sent)
        take, ends = self.lanes.ends()
        slowest = ends[int(take.argmax())]
        first = Moment(slowest.time + END_TO_CLASSES, Term.LATENCY, self.name, slowest)
        self.last_logit = Moment(first.time + self._classes - 1 + CLASS_TO_LOGIT, Term.READOUT, self.name, first)
        # done_o, and the sequencer's register after it
        self._updated = Moment(self.last_logit.time + LOGIT_TO_DONE + 1, Term.LATENCY, self.name, self.last_logit)
        self.steps += 1

    def _update(self, cycle: int, own_sent: Moment | None) -> None:
        """Nothing waits in a decoder: its moments are known when the step begins."""


@dataclass(frozen=True)
class _RowOrder:
    """The rows that a reader reads in one step.

    Attributes:
        rows: Their numbers; never empty.
        skipped: Rows of resting layers before each of them.
        tail: Such rows after the last.
    """

    rows: tuple[int, ...]
    skipped: tuple[int, ...]
    tail: int


def _row_order(row_ends: Sequence[int], active: Sequence[bool]) -> _RowOrder:
    rows: list[int] = []
    skipped: list[int] = []
    gap = first = 0
    for end, works in zip(row_ends, active, strict=True):
        if works:
            rows += range(first, end)
            skipped += [gap] + [0] * (end - first - 1)
            gap = 0
        else:
            gap += end - first
        first = end
    return _RowOrder(tuple(rows), tuple(skipped), gap)


class _UpdateUnit:
    """An egru_update_unit with the row readers of its lanes.

    Rows are taken ahead of the simulated time: what happens later can only make room for them sooner, so a row that has room will be taken.
    """

    def __init__(self, name: str, lanes: int, queue_depth: int) -> None:
        self.events: deque[tuple[int, int, int, Moment]] = deque()  # visible from, lane of the unit, row; why
        self.wake: int | None = None  # cycle in which `advance` knows more
        self._name, self._period = name, -(-lanes // ROW_CYCLES) * ROW_CYCLES
        self._open: list[int] = []
        self._places = queue_depth - UNIT_RESERVE

    def begin(self, ends: Sequence[Moment], order: _RowOrder, fired: np.ndarray) -> None:
        """Begin a step: ``ends`` are the lanes' takes of the end item, ``fired`` is bool, shape (lanes, rows)."""
        self._order = order
        self._fired: list[list[bool]] = fired.tolist()
        self._open = list(range(len(ends)))
        self._place = [0] * len(ends)
        self._since = [Moment(end.time + END_TO_ROWS, Term.LATENCY, self._name, end) for end in ends]
        self._turn = [self._next_turn(lane, since.time + order.skipped[0]) for lane, since in enumerate(self._since)]
        self._in_use = 0
        self._taken: deque[int] = deque()  # takes that in_use does not hold yet
        self._freed: list[int] = []  # heap: cycles in which a place is seen as free
        self._idle_from = 0  # the readers
        self._silent = self._since[0]  # the last row without an event
        self._popped: Moment | None = None
        self.wake = None

    def advance(self, now: int) -> None:
        """Take rows as far as is certain when everything up to ``now`` is known."""
        self.wake = None
        while self._open:
            lane = min(self._open, key=self._turn.__getitem__)
            cycle = self._turn[lane]
            self._count(cycle)
            if self._in_use < self._places:
                self._take(lane, cycle)
                continue
            known = now + PLACE_TO_TURN + 1  # an event that leaves after `now` makes no room before
            room = min(self._freed[0], known) if self._freed else known
            if room <= cycle:
                if self._freed:
                    self.wake = max(now + 1, self._freed[0] - PLACE_TO_TURN)
                return
            for waiting in self._open:
                if self._turn[waiting] < room:
                    self._turn[waiting] = self._next_turn(waiting, room)
                    self._since[waiting] = self._popped or self._since[waiting]

    def pop(self, cause: Moment) -> None:
        """The event that waits longest has been taken."""
        cycle = cause.time
        self.events.popleft()
        self._popped = cause
        heapq.heappush(self._freed, cycle + PLACE_TO_TURN)
        if self._open:
            self.advance(cycle)

    def done(self) -> Moment | None:
        """Return when the sequencer sees that the unit is empty and its readers rest; None while that is not known."""
        if self._open or self.events:
            return None
        silent, popped = self._silent.time + UPDATE_STAGES + PLACE_TO_EMPTY, self._popped
        last = popped if popped and popped.time + PLACE_TO_EMPTY > silent else self._silent
        empty = max(silent, last.time + PLACE_TO_EMPTY)
        return Moment(max(empty, self._idle_from) + EMPTY_TO_DONE, Term.LATENCY, self._name, last)

    def _next_turn(self, lane: int, cycle: int) -> int:
        return cycle + (lane - cycle) % self._period

    def _count(self, cycle: int) -> None:
        while self._taken and self._taken[0] + PLACE_TO_TURN <= cycle:
            self._taken.popleft()
            self._in_use += 1
        while self._freed and self._freed[0] <= cycle:
            heapq.heappop(self._freed)
            self._in_use -= 1

    def _take(self, lane: int, cycle: int) -> None:
        order, place = self._order, self._place[lane]
        row, over = order.rows[place], cycle + ROW_CYCLES
        taken = Moment(cycle, Term.UPDATE, self._name, self._since[lane])
        self._taken.append(cycle)
        if self._fired[lane][row]:
            self.events.append((cycle + UPDATE_STAGES + 1, lane, row, taken))
        else:
            self._silent = taken
            heapq.heappush(self._freed, cycle + UPDATE_STAGES + PLACE_TO_TURN)
        self._place[lane] = place + 1
        if place + 1 < len(order.rows):
            self._turn[lane] = self._next_turn(lane, over + order.skipped[place + 1])
        else:
            self._open.remove(lane)
            self._idle_from = max(self._idle_from, over + order.tail)


@dataclass
class _OwnEvent:
    """An event in the arbiter's queue.

    Attributes:
        index: Physical index.
        column: Of the bus; None where it does not go there, or no longer.
        to_output: Whether it has still to go to the output.
        since: When it came to the head of the queue, and why not before.
    """

    index: int
    column: int | None
    to_output: bool
    since: Moment


class Engine(Block):
    """An engine: row readers, update units, the arbiter of their events, and the output stream."""

    def __init__(
        self,
        name: str,
        lanes: Lanes,
        source: Stream,
        output: Stream,
        *,
        units: int,
        event_queue_depth: int,
        row_ends: Sequence[int],
        steps: Sequence[EngineStep],
    ) -> None:
        """Begin after reset.

        Args:
            name: For moments.
            lanes: Its lanes.
            source: Tokens, or the events of the engine before.
            output: Where events go.
            units: Update units.
            event_queue_depth: Places for events in each of them.
            row_ends: Per layer the row after its last.
            steps: What happens in each step, in order.
        """
        lane_count, rows = len(steps[0].fired), row_ends[-1]
        unit_lanes = lane_count // units
        super().__init__(name, lanes, source, max(ROW_CYCLES, unit_lanes) * rows + CLEARED_TO_READY)
        output.writer = self
        self._output, self._row_ends, self._unit_lanes, self._slots = output, row_ends, unit_lanes, lane_count * rows
        self._units = [_UpdateUnit(name, unit_lanes, event_queue_depth) for _ in range(units)]
        self._steps = iter(steps)
        self._now = steps[0]
        self._chosen: deque[_OwnEvent] = deque()  # the arbiter's queue
        self._granted = self._retired = Moment(0, Term.LATENCY, name, None)  # the events that came into it and left it last

    def _input_column(self, index: int) -> int:
        return self._slots + index

    def _may_end(self) -> bool:
        # Layers under way are brought to their end when no token is left.
        return super()._may_end() or (self._step is not None and any(self._now.active[:-1]))

    def _begin(self, sent: Moment) -> None:
        super()._begin(sent)
        self._now = now = next(self._steps)
        order = _row_order(self._row_ends, now.active)
        _, ends = self.lanes.ends()
        for place, unit in enumerate(self._units):
            mine = slice(place * self._unit_lanes, (place + 1) * self._unit_lanes)
            unit.begin(ends[mine], order, now.fired[mine])
            unit.advance(sent.time)
        self.call(sent.time + 1)

    def _own_request(self) -> _Request | None:
        own = self._chosen[0] if self._chosen else None
        return _Request(own.column, own.since) if own and own.column is not None else None

    def _update(self, cycle: int, own_sent: Moment | None) -> None:
        output_ready, room = self._output.ready(cycle), len(self._chosen) < ARBITER_PLACES
        if self._chosen:
            self._pass_on(cycle, self._chosen[0], own_sent, output_ready)
        elif self._updated is None:
            self._finish(cycle, output_ready)
        if room:
            self._arbitrate(cycle)
        for unit in self._units:
            if unit.wake is not None:
                if unit.wake <= cycle:
                    unit.advance(cycle)
                    self.call(cycle + 1)  # arbiter and end of the update have not seen what it took
                if unit.wake is not None:
                    self.call(unit.wake)

    def _pass_on(self, cycle: int, own: _OwnEvent, sent: Moment | None, output_ready: bool) -> None:
        """Give the event to the bus and to the output, to each once, and make way for the next one when both have it."""
        if sent:
            own.column = None
            self._retired = sent
        if own.to_output and output_ready:
            own.to_output = False
            self._output.push(cycle, own.index, self._when_ready(cycle, own.since))
            self._retired = sent or self._when_ready(cycle, own.since)
        if own.column is None and not own.to_output:
            self._chosen.popleft()
            if self._chosen:
                self._chosen[0].since = Moment(cycle + 1, Term.BUS, self.name, self._retired)
            self.call(cycle + 1)

    def _when_ready(self, cycle: int, since: Moment) -> Moment:
        """Return why the output takes something in ``cycle`` that has been there ``since``."""
        room = self._output.made_room
        return Moment(cycle, Term.LATENCY, self.name, room if room and room.time == cycle - 1 and since.time < cycle else since)

    def _arbitrate(self, cycle: int) -> None:
        """Take the first event of the lowest unit that has one."""
        for place, unit in enumerate(self._units):
            if unit.events and unit.events[0][0] <= cycle:
                visible, lane, row, taken = unit.events[0]
                index = (place * self._unit_lanes + lane) * self._row_ends[-1] + row
                before = self._retired if self._retired.time == cycle - 1 else self._granted
                self._granted = Moment(cycle, Term.LATENCY, self.name, taken if visible == cycle else before)
                self._chosen.append(self._own_event(index, row, Moment(cycle + ARBITER, Term.LATENCY, self.name, self._granted)))
                unit.pop(self._granted)
                self.call(cycle + ARBITER)
                return
        waiting = [unit.events[0][0] for unit in self._units if unit.events]
        if waiting:
            self.call(min(waiting))

    def _own_event(self, index: int, row: int, since: Moment) -> _OwnEvent:
        layer = next(place for place, end in enumerate(self._row_ends) if row < end)
        output, last = layer == len(self._row_ends) - 1, self._now.last[layer]
        if not last:
            column: int | None = index
        else:
            column = None if output else self._slots + index
        return _OwnEvent(index, column, output, since)

    def _finish(self, cycle: int, output_ready: bool) -> None:
        """End the update when every unit is empty and the output has its end item."""
        done = [unit.done() for unit in self._units]
        known = [moment for moment in done if moment]
        if len(known) < len(done):
            return
        last = max(known, key=lambda moment: moment.time)
        if last.time > cycle:
            self.call(last.time)
            return
        if self._retired.time >= last.time:
            last = self._retired
        if self._now.active[-1]:
            if not output_ready:
                return
            last = self._when_ready(cycle, last)
            self._output.push(cycle, None, last)
        self._updated = Moment(cycle + 1, Term.LATENCY, self.name, last)
        self.call(cycle + 1)


def simulate(engines: Sequence[Engine], decoder: Decoder, steps: int) -> None:
    """Run the blocks until the decoder has begun ``steps`` steps."""
    blocks: list[Block] = [*engines, decoder]
    while decoder.steps < steps:
        cycle = min(block.next_cycle for block in blocks)
        if cycle == NEVER:
            raise RuntimeError(f"the datapath stands still after {decoder.steps} of {steps} steps")
        due = [block for block in blocks if block.next_cycle <= cycle]
        for block in due:
            block.next_cycle = NEVER
        for block in due:
            block.run(cycle)
