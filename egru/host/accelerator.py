"""The accelerator as a Python object: tokens or input events in, answers out; logits, counters and registers to look at."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from types import TracebackType
from typing import Any

import numpy as np

from egru.host.errors import LinkError
from egru.host.line import SerialLine
from egru.host.serial_transport import REMEDY, Patience, SerialTransport
from egru.host.transport import Answer, LinkStatistics, Transport, Word
from hls_gen.input_words import event_words
from hls_gen.registers import (
    CLEAR_COUNTERS,
    COUNTERS,
    DEVICE_ID,
    DEVICE_VERSION,
    HASH_WORDS,
    MAX_BLOCKS,
    SOFT_RESET,
    TOKEN_OUT_OF_RANGE,
    Register,
    counters_address,
)
from sw_model.errors import UserError

MAX_SYMBOLS = 1 << 16  # what 16 bits of a token, or of an answer, can name


@dataclass(frozen=True)
class DeviceInfo:
    """What a device says of itself.

    Attributes:
        version: Major, minor and patch number of its register map.
        model_hash: Content hash of its model, 64 hexadecimal digits.
        blocks: Blocks of counters: the engines in their order, then the decoder.
        lanes: Lanes of all blocks together.
        tokens: Tokens that it knows, 0 to ``tokens - 1``; of a device that reads features, its channels.
        classes: Logits per step.
    """

    version: tuple[int, int, int]
    model_hash: str
    blocks: int
    lanes: int
    tokens: int
    classes: int

    @property
    def is_empty(self) -> bool:
        """Whether it has no weights yet: they are in RAM that starts empty, see `Accelerator.load_weights`."""
        return not int(self.model_hash, 16)


@dataclass(frozen=True)
class Counters:
    """The hardware counters since they were last cleared. Each has ``counter_bits`` of the hardware's configuration, and wraps.

    Attributes:
        cycles: Clock cycles in which the core was busy.
        steps: Time steps finished.
        blocks: Per engine, then for the decoder, each counter by its name, see egru_layer_counters.sv.
    """

    cycles: int
    steps: int
    blocks: tuple[dict[str, int], ...]

    @property
    def events(self) -> int:
        """Events of all layers."""
        return sum(block["own_events"] for block in self.blocks)

    @property
    def macs(self) -> int:
        """MACs of all layers and the decoder."""
        return sum(block["macs"] for block in self.blocks)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return asdict(self) | {"events": self.events, "macs": self.macs}


class Accelerator:
    """One device behind a transport. Opening it starts a new sequence and clears the counters; use it in a ``with`` statement.

    Args:
        transport: The way to the device; closed together with the accelerator, also when it is refused.
        model_hash: Content hash of the model that the device must hold; None for any.
        event_bits: Of a device that reads features, bits of an input event, ``formats.event_bits`` of its model: no register says them,
            nor what it reads. 0 for one that reads tokens.
        may_be_empty: Take a device that has no weights yet as well; load them before anything else.

    Attributes:
        info: What the device says of itself.

    Raises:
        LinkError: When the device is none of ours, has another register map, or holds another model.
    """

    def __init__(self, transport: Transport, model_hash: str | None = None, *, event_bits: int = 0, may_be_empty: bool = False) -> None:
        self._transport, self._event_bits = transport, event_bits
        try:
            self.info = self._identify()
            if not (may_be_empty and self.info.is_empty):
                self._require(model_hash)
            self.reset()
        except BaseException:
            transport.close()
            raise

    @classmethod
    def open(
        cls,
        port: str,
        baud: float,
        *,
        model_hash: str | None = None,
        patience: Patience | None = None,
        event_bits: int = 0,
        may_be_empty: bool = False,
    ) -> "Accelerator":
        """Open the device at a serial port.

        Args:
            port: Its path, e.g. ``/dev/ttyUSB0``, or the pseudo-terminal of a simulated board.
            baud: Bits per second: of the board's bitstream, or those that a simulated board reaches.
            model_hash: Content hash of the model that the device must hold; None for any.
            patience: How long to wait for replies; None suits a real board.
            event_bits: Of a device that reads features; see the class.
            may_be_empty: Take a device that has no weights yet as well; see the class.

        Raises:
            LinkError: When the port cannot be opened, nobody answers, or it is not the device that was expected.
        """
        transport = SerialTransport(SerialLine(port, round(baud)), baud, patience)
        return cls(transport, model_hash, event_bits=event_bits, may_be_empty=may_be_empty)

    def __enter__(self) -> "Accelerator":
        """Return the accelerator."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the transport."""
        self.close()

    @property
    def name(self) -> str:
        """What the device is called in messages, e.g. its port."""
        return self._transport.name

    @property
    def has_logits(self) -> bool:
        """Whether `logits` can be asked for."""
        return self._transport.has_logits

    @property
    def statistics(self) -> LinkStatistics:
        """What happened on the link."""
        return self._transport.statistics

    def close(self) -> None:
        """Give the device free; may be called twice."""
        self._transport.close()

    def reset(self) -> None:
        """Start a new sequence, whatever was under way, and clear the counters and sticky errors."""
        self._transport.write(Register.CONTROL, [SOFT_RESET | CLEAR_COUNTERS])
        self._transport.write(Register.ERRORS, [0xFFFF_FFFF])

    def load_weights(self, writes: Iterable[tuple[int, Sequence[int]]], model_hash: str | None = None) -> None:
        """Write another model of the same shape into hardware that was generated with ``weights = "loadable"``, and start a new sequence.

        Hardware with ``weights = "single-port"`` gets the weights of its own model so, once after power-up.

        Args:
            writes: What `hls_gen.weight_image.load_writes` gives: register addresses, and the words that go to each.
            model_hash: Content hash of the model; None to take whatever the device then names.

        Raises:
            LinkError: When the device refuses a write, or names another model afterwards.
        """
        for address, words in writes:
            self._transport.fill(address, words)
        self.info = self._identify()
        self._require(model_hash)
        self.reset()

    def step(self, inputs: int | Sequence[int] | np.ndarray, *, last: bool = False) -> Answer:
        """Run one time step.

        Args:
            inputs: The token; of a device that reads features the input events, int, shape (channels,), 0 for silence.
            last: Whether it ends its sequence.

        Raises:
            UserError: When the model does not know the token, or the events are none of its.
            LinkError: When the link cannot be kept.
        """
        words, most, answers = self._words_of(inputs), self._transport.max_words, []
        words[-1] = words[-1]._replace(last=last)
        for place in range(0, len(words), most):
            answers += self._step(words[place : place + most])
        return answers[-1]

    def stream(
        self, inputs: Iterable[int] | Iterable[Sequence[int]] | np.ndarray, *, batch: int | None = None, end: bool = True
    ) -> Iterator[Answer]:
        """Run a time step for each of the inputs and yield each step's answer.

        Args:
            inputs: Those of `step` of a whole sequence; may be without end, and is read one batch ahead of the answers.
            batch: Words per request, tokens or those of events; None for as many as the device takes. Fewer give the first answer sooner,
                more give more per second.
            end: Whether the last of ``inputs`` ends its sequence; False lets a later call go on with it.

        Raises:
            UserError: When the batch is not positive, or as `step` does.
            LinkError: When the link cannot be kept.
        """
        most = self._transport.max_words
        if batch is not None and batch < 1:
            raise UserError(f"batch={batch}", "is not positive", f"use 1 to {most}")
        size = most if batch is None else min(batch, most)
        source = chain.from_iterable(map(self._words_of, inputs))
        part = list(islice(source, size))
        while part:
            # Only with the next batch in hand is it known whether this one is the last.
            following = list(islice(source, size))
            part[-1] = part[-1]._replace(last=end and not following)
            yield from self._step(part)
            part = following

    def logits(self) -> list[int]:
        """Return all logits of the last step, in class order, ``decoder.weight_frac + event_bits`` fraction bits.

        Raises:
            UserError: When the device was built without them.
        """
        if not self.has_logits:
            raise UserError(f"device at {self.name}", "gives no logits", "generate a bitstream with them, or use the answers")
        return self._transport.logits(0, self.info.classes)

    def counters(self) -> Counters:
        """Read all hardware counters."""
        cycles, steps = _pairs(self._transport.read(Register.CYCLES, 4))
        words = [self._transport.read(counters_address(block), 2 * len(COUNTERS)) for block in range(self.info.blocks)]
        return Counters(cycles, steps, tuple(dict(zip(COUNTERS, _pairs(block), strict=True)) for block in words))

    def clear_counters(self) -> None:
        """Set all hardware counters to zero; the sequence under way goes on."""
        self._transport.write(Register.CONTROL, [CLEAR_COUNTERS])

    def read_registers(self, address: int, count: int = 1) -> list[int]:
        """Read registers by their byte address, see `hls_gen.registers.Register`."""
        return self._transport.read(address, count)

    def write_registers(self, address: int, words: Iterable[int]) -> None:
        """Write consecutive registers."""
        self._transport.write(address, list(words))

    def fill_register(self, address: int, words: Iterable[int]) -> None:
        """Write all words to one register, one after the other."""
        self._transport.fill(address, list(words))

    def saw_unknown_token(self) -> bool:
        """Say whether the core was given a token that it does not know since the last `reset`, or an event of no channel.

        It takes such a token as token 0, and drops such an event.
        """
        return bool(self._transport.read(Register.ERRORS)[0] & TOKEN_OUT_OF_RANGE)

    def _step(self, words: Sequence[Word]) -> list[Answer]:
        answers = self._transport.step(words)
        for answer in answers:
            if answer.symbol >= self.info.classes:
                rule = f"answered class {answer.symbol}, and says that it has {self.info.classes}"
                raise LinkError(f"device at {self.name}", rule, REMEDY)
        return answers

    def _words_of(self, inputs: Any) -> list[Word]:
        """Return the words of one time step."""
        if self._event_bits:
            words = event_words(self._checked_events(inputs)[None], self._event_bits).tolist()
            return [Word(word, answered=word == 0) for word in words]
        if not 0 <= inputs < self.info.tokens:
            raise UserError(f"token {inputs}", f"is unknown to the model in the device at {self.name}", f"use 0 to {self.info.tokens - 1}")
        return [Word(int(inputs))]

    def _checked_events(self, inputs: Any) -> np.ndarray:
        events, top, channels = np.asarray(inputs), (1 << self._event_bits) - 1, self.info.tokens
        remedy = f"give {channels} integers of 0 to {top} for each time step"
        if events.shape != (channels,) or not np.issubdtype(events.dtype, np.integer):
            what = f"input events of shape {events.shape}, {events.dtype}"
            raise UserError(what, f"are not integers of the {channels} channels of the device at {self.name}", remedy)
        wrong = np.flatnonzero((events < 0) | (events > top))
        if wrong.size:
            raise UserError(f"input event {events[wrong[0]]} of channel {wrong[0]}", f"is not within 0..{top}", remedy)
        return events.astype(np.int64)

    def _require(self, model_hash: str | None) -> None:
        if self.info.is_empty:
            remedy = "give egru run the folder that egru generate wrote, or call load_weights"
            raise LinkError(f"device at {self.name}", "has no weights yet: they are in RAM that starts empty", remedy)
        if model_hash is not None and self.info.model_hash != model_hash:
            rule = f"holds model {self.info.model_hash[:12]}…, not {model_hash[:12]}…"
            remedy = "load the bitstream that was built for this model, or name the model that is in the device"
            raise LinkError(f"device at {self.name}", rule, remedy)

    def _identify(self) -> DeviceInfo:
        device = f"device at {self.name}"
        identity, version = self._transport.read(Register.ID, 2)
        if identity != DEVICE_ID:
            raise LinkError(device, f"has ID 0x{identity:08x}, not 0x{DEVICE_ID:08x}", REMEDY)
        numbers, known = _numbers(version), _numbers(DEVICE_VERSION)
        if numbers[:2] != known[:2]:  # the last number changes nothing for a host
            found, wanted = (".".join(map(str, version)) for version in (numbers, known))
            raise LinkError(device, f"has registers of version {found}; this program knows {wanted}", REMEDY)
        words = self._transport.read(Register.MODEL_HASH, HASH_WORDS)
        model_hash = f"{sum(word << 32 * place for place, word in enumerate(words)):064x}"
        blocks, lanes = self._transport.read(Register.BLOCKS, 2)
        tokens, classes = self._transport.read(Register.TOKENS, 2)
        for what, number, most in (("blocks", blocks, MAX_BLOCKS), ("tokens", tokens, MAX_SYMBOLS), ("classes", classes, MAX_SYMBOLS)):
            if not 1 <= number <= most:
                raise LinkError(device, f"says that it has {number} {what}, which is not within 1..{most}", REMEDY)
        return DeviceInfo(numbers, model_hash, blocks, lanes, tokens, classes)


def _numbers(version: int) -> tuple[int, int, int]:
    """Return major, minor and patch number of a VERSION register."""
    return version >> 16, version >> 8 & 0xFF, version & 0xFF


def _pairs(words: list[int]) -> list[int]:
    """Join 32-bit words, low word first, to 64-bit values."""
    return [low | high << 32 for low, high in zip(words[::2], words[1::2], strict=True)]
