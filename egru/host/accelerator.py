"""The accelerator as a Python object: tokens in, answers out; logits, counters and registers to look at."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from types import TracebackType
from typing import Any

from egru.host.errors import LinkError
from egru.host.line import SerialLine
from egru.host.serial_transport import REMEDY, Patience, SerialTransport
from egru.host.transport import Answer, LinkStatistics, Token, Transport
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
        tokens: Tokens that it knows: 0 to ``tokens - 1``.
        classes: Logits per step.
    """

    version: tuple[int, int, int]
    model_hash: str
    blocks: int
    lanes: int
    tokens: int
    classes: int


@dataclass(frozen=True)
class Counters:
    """The hardware counters since they were last cleared.

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

    Attributes:
        info: What the device says of itself.

    Raises:
        LinkError: When the device is none of ours, has another register map, or holds another model.
    """

    def __init__(self, transport: Transport, model_hash: str | None = None) -> None:
        self._transport = transport
        try:
            self.info = self._identify()
            self._require(model_hash)
            self.reset()
        except BaseException:
            transport.close()
            raise

    @classmethod
    def open(cls, port: str, baud: float, *, model_hash: str | None = None, patience: Patience | None = None) -> "Accelerator":
        """Open the device at a serial port.

        Args:
            port: Its path, e.g. ``/dev/ttyUSB0``, or the pseudo-terminal of a simulated board.
            baud: Bits per second: of the board's bitstream, or those that a simulated board reaches.
            model_hash: Content hash of the model that the device must hold; None for any.
            patience: How long to wait for replies; None suits a real board.

        Raises:
            LinkError: When the port cannot be opened, nobody answers, or it is not the device that was expected.
        """
        return cls(SerialTransport(SerialLine(port, round(baud)), baud, patience), model_hash)

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

    def step(self, token: int, *, last: bool = False) -> Answer:
        """Run one time step.

        Args:
            token: The token.
            last: Whether it ends its sequence.

        Raises:
            UserError: When the model does not know the token.
            LinkError: When the link cannot be kept.
        """
        return self._step([Token(self._checked(token), last)])[0]

    def stream(self, tokens: Iterable[int], *, batch: int | None = None, end: bool = True) -> Iterator[Answer]:
        """Run one time step per token and yield each step's answer.

        Args:
            tokens: The tokens of a sequence; may be without end, and is read one batch ahead of the answers.
            batch: Tokens per request; None for as many as the device takes. Fewer give the first answer sooner, more give more per second.
            end: Whether the last of ``tokens`` ends its sequence; False lets a later call go on with it.

        Raises:
            UserError: When the batch is not positive, or the model does not know a token.
            LinkError: When the link cannot be kept.
        """
        most = self._transport.max_tokens
        if batch is not None and batch < 1:
            raise UserError(f"batch={batch}", "is not positive", f"use 1 to {most}")
        size = most if batch is None else min(batch, most)
        source = map(self._checked, tokens)
        part = list(islice(source, size))
        while part:
            # Only with the next batch in hand is it known whether this one is the last.
            following = list(islice(source, size))
            ends = end and not following
            yield from self._step([Token(token, ends and place == len(part)) for place, token in enumerate(part, 1)])
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
        """Say whether the core was given a token it does not know since the last `reset`; it took it as token 0."""
        return bool(self._transport.read(Register.ERRORS)[0] & TOKEN_OUT_OF_RANGE)

    def _step(self, tokens: Sequence[Token]) -> list[Answer]:
        answers = self._transport.step(tokens)
        for answer in answers:
            if answer.symbol >= self.info.classes:
                rule = f"answered class {answer.symbol}, and says that it has {self.info.classes}"
                raise LinkError(f"device at {self.name}", rule, REMEDY)
        return answers

    def _checked(self, token: int) -> int:
        if not 0 <= token < self.info.tokens:
            raise UserError(f"token {token}", f"is unknown to the model in the device at {self.name}", f"use 0 to {self.info.tokens - 1}")
        return int(token)

    def _require(self, model_hash: str | None) -> None:
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
