"""A device that speaks the host link, written from docs/host_link.md and sharing no code with the host; it can misbehave on demand."""

import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

MAX_TOKENS = 32
MODEL_HASH = "00112233445566778899aabbccddeeff" * 2
CLASSES, TOKENS, BLOCKS, COUNTERS = 17, 40, 3, 9


def answers(tokens: list[int], state: int = 7) -> list[tuple[int, int]]:
    """What the fake's network answers to a sequence: each answer depends on every token before it."""
    found = []
    for token in tokens:
        state = (31 * state + token + 1) & 0xFFFF
        found.append((state % CLASSES, state - 30_000))
    return found


@dataclass
class FakeDevice:
    """Takes bytes, gives bytes.

    Attributes:
        version: Of the link.
        has_logits: Whether LOGITS is there.
        words: Its registers by byte address; those of counters are made when they are read.
        spoil: Applied to every frame that it sends.
        executed: Requests executed, by kind.
        steps: Time steps executed.
        event_bits: Of a device that reads features; it takes the sum of a time step's words for a token.
    """

    version: int = 1
    has_logits: bool = True
    words: dict[int, int] = field(default_factory=dict)
    spoil: Callable[[bytes], bytes] = bytes
    executed: dict[int, int] = field(default_factory=dict)
    steps: int = 0
    event_bits: int = 0

    def __post_init__(self) -> None:
        hash_words = struct.unpack("<8I", bytes.fromhex(MODEL_HASH)[::-1])
        plain = {0x000: 0x45475255, 0x004: 0x0100, 0x030: 0, 0x034: 0, 0x038: 0, 0x050: BLOCKS, 0x054: 6, 0x058: 0, 0x05C: TOKENS}
        self.words = plain | {0x060: CLASSES} | {0x010 + 4 * place: word for place, word in enumerate(hash_words)} | self.words
        self.reset()

    def reset(self) -> None:
        """What the button does."""
        self._buffer = b""
        self._session = False
        self._last_sequence = -1
        self._stored = b""
        self._state = 7
        self._events: list[int] = []
        self._high = 0
        self._last_logit = 0
        self._reads = 0

    def feed(self, data: bytes) -> bytes:
        """Take bytes off the line; return what is sent for them."""
        self._buffer += data
        sent = b""
        while True:
            start = self._buffer.find(0xE5)
            if start < 0:
                self._buffer = b""
                return sent
            self._buffer = self._buffer[start:]
            if len(self._buffer) < 4 or len(self._buffer) < 8 + self._buffer[3]:
                return sent
            size = 8 + self._buffer[3]
            frame, self._buffer = self._buffer[:size], self._buffer[size:]
            if struct.pack("<I", zlib.crc32(frame[1:-4])) == frame[-4:]:
                sent += self.spoil(self._reply(frame[1] >> 4, frame[1] & 15, frame[2], frame[4:-4]))

    def _reply(self, version: int, kind: int, sequence: int, payload: bytes) -> bytes:
        if kind == 0 and version == self.version:
            self._session, self._last_sequence = True, -1
        elif version != self.version:
            return self._frame(15, sequence, bytes((4, kind)))
        elif not self._session:
            return self._frame(15, sequence, bytes((6, kind)))
        elif sequence == self._last_sequence:
            return self._stored
        result = self._execute(kind, payload)
        self._last_sequence = sequence if kind else -1
        self._stored = self._frame(15, sequence, bytes((result, kind))) if isinstance(result, int) else self._frame(kind, sequence, result)
        return self._stored

    def _frame(self, kind: int, sequence: int, payload: bytes) -> bytes:
        checked = bytes((self.version << 4 | kind, sequence, len(payload))) + payload
        return b"\x5e" + checked + struct.pack("<I", zlib.crc32(checked))

    def _execute(self, kind: int, payload: bytes) -> bytes | int:
        self.executed[kind] = self.executed.get(kind, 0) + 1
        if kind == 0:
            return bytes((MAX_TOKENS, self.has_logits, 0, 0))
        if kind == 1:
            return self._step(struct.unpack(f"<{len(payload) // 2}H", payload)) if 1 <= len(payload) // 2 <= MAX_TOKENS else 2
        if kind == 2:
            address, count = struct.unpack("<HB", payload)
            values = [self._read(address + 4 * place) for place in range(count)]
            return 3 if None in values else struct.pack(f"<{count}I", *values)
        if kind in (3, 4):
            (address,), words = struct.unpack("<H", payload[:2]), struct.unpack(f"<{len(payload) // 4}I", payload[2:])
            done = [self._write(address + (4 * place if kind == 3 else 0), word) for place, word in enumerate(words)]
            return b"" if all(done) else 3
        if kind == 5 and self.has_logits:
            first, count = struct.unpack("<HB", payload)
            return struct.pack(f"<{count}i", *(self.logit(first + place) for place in range(count)))
        return 5 if kind == 5 else 1

    def _step(self, words: tuple[int, ...]) -> bytes:
        reply = b""
        for word in words:
            value, last = word & 0x7FFF, bool(word & 0x8000)
            if value % (1 << self.event_bits):
                assert not last
                self._events.append(value)
                continue
            self.steps += 1
            reply += struct.pack("<Hi", *(self.answer_events(self._events, last) if self.event_bits else self.answer(value, last)))
            self._events = []
        return reply

    def answer_events(self, words: list[int], last: bool) -> tuple[int, int]:
        """One time step of a device that reads features."""
        return self.answer(sum(words), last)

    def answer(self, token: int, last: bool) -> tuple[int, int]:
        """One time step."""
        ((symbol, logit),) = answers([token], self._state)
        self._state = 7 if last else logit + 30_000
        self._last_logit = logit
        return symbol, logit

    def logit(self, symbol: int) -> int:
        """One of the logits of the last step."""
        return self._last_logit - abs(symbol - 3)

    def reset_core(self) -> None:
        """What CONTROL[0] does."""
        self._state = 7

    def _read(self, address: int) -> int | None:
        is_counter = 0x100 <= address < 0x100 + 0x80 * BLOCKS and address % 0x80 < 8 * COUNTERS
        if not is_counter and address not in (0x040, 0x044, 0x048, 0x04C):
            return self.words.get(address)
        if address % 8:
            return self._high
        value = self.counter(address)
        self._high = value >> 32
        return value & 0xFFFF_FFFF

    def counter(self, address: int) -> int:
        """A counter that runs over the border between its words all the time: only low before high gives a true value."""
        self._reads += 1
        return address << 32 | (0xFFFF_FFFF if self._reads % 2 else 0)

    def _write(self, address: int, word: int) -> bool:
        if address not in self.words:
            return False
        if address == 0x030 and word & 1:
            self.reset_core()
        self.words[address] = 0 if address == 0x038 else word
        return True


@contextmanager
def pseudo_terminal(device: FakeDevice) -> Iterator[str]:
    """Put a fake device behind a pseudo-terminal."""
    master, slave = os.openpty()

    def serve() -> None:
        with suppress(OSError):
            while data := os.read(master, 256):
                os.write(master, device.feed(data))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        os.close(slave)
        thread.join()
        os.close(master)
