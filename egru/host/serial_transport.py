"""The host link over a serial line, docs/host_link.md: every request is executed exactly once, or raises.

A request has a sequence number. When no good reply with that number comes in time, the host sends bytes that end whatever frame the device
believes itself in, and the same request again; a device that has executed it sends its stored reply. So a time-out that comes too early
costs time and nothing else.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from egru.host.errors import LinkError, SessionLostError
from egru.host.line import Line
from egru.host.transport import Answer, LinkStatistics, Word
from sim.link_frames import (
    CRC_BYTES,
    HAS_LOGITS,
    HEAD_BYTES,
    MAX_FRAME,
    MAX_PAYLOAD,
    MAX_WORDS_READ,
    MAX_WORDS_WRITTEN,
    RESYNC,
    VERSION,
    ErrorCode,
    Frame,
    FrameDecoder,
    Kind,
    Sync,
    encode_frame,
    read_payload,
    read_words,
    step_answers,
    step_payload,
    write_payload,
)

REMEDY = "load a bitstream that this version of egru generated"
BITS_PER_BYTE = 10  # start bit, eight data bits, stop bit
HELLO_BYTES = 4
ANSWER_BYTES = 6
WORD_BYTES = 4
FIRST_MARGIN = 4  # over the time on the line, as long as nothing has been measured
MARGIN = 2  # over what was measured
MAX_BACKOFF = 8.0
MOST_LATE = 4 * MAX_FRAME  # bytes of late replies

_REFUSALS: dict[int, str] = {
    ErrorCode.UNKNOWN_KIND: "does not know this request",
    ErrorCode.BAD_LENGTH: "refused the length of the request",
    ErrorCode.ACCESS_REFUSED: "refused the access: no such register",
    ErrorCode.OTHER_VERSION: f"speaks another version of the link than {VERSION}",
    ErrorCode.NOT_AVAILABLE: "does not offer this, or only for other values",
}


@dataclass(frozen=True)
class Patience:
    """How long to wait before a request is sent again.

    Attributes:
        first_seconds: For the execution of the first STEP; later ones are judged by those before them.
        slack_seconds: Always, for what the operating system and a USB adapter take; a reply that stops for so long is taken to be spoilt.
        attempts: Times that a request is sent before the link is given up.
        greeting_attempts: The same for the first request of all: nobody may be there.
    """

    first_seconds: float = 0.5
    slack_seconds: float = 0.1
    attempts: int = 16
    greeting_attempts: int = 5


#: For a simulated board: it is some hundred times slower than a real one and shares the computer with others.
SIMULATION_PATIENCE = Patience(first_seconds=2.0, slack_seconds=0.2, greeting_attempts=10)


class SerialTransport:
    """Requests and replies on a line.

    Args:
        line: The line; closed together with the transport.
        baud: Bits per second that the line really carries; time-outs follow from it.
        patience: How long to wait.

    Raises:
        LinkError: When nobody answers, or it speaks another version.
    """

    def __init__(self, line: Line, baud: float, patience: Patience | None = None) -> None:
        self.statistics = LinkStatistics()
        self._line = line
        self._patience = Patience() if patience is None else patience
        self._waits: dict[Kind, _Wait] = {kind: _Wait(self._patience, BITS_PER_BYTE / baud, executes=kind is Kind.STEP) for kind in Kind}
        self._decoder = FrameDecoder(Sync.REPLY)
        # Any start will do; one that differs from the last program's cannot be met by a late reply to that.
        self._sequence = os.urandom(1)[0]
        try:
            hello = self._request(Kind.HELLO, b"", HELLO_BYTES, self._patience.greeting_attempts)
        except BaseException:
            line.close()
            raise
        self._max_tokens, self._flags = hello[0], hello[1]
        most = MAX_PAYLOAD // ANSWER_BYTES
        if not 1 <= self._max_tokens <= most:
            line.close()
            rule = f"says that it takes {self._max_tokens} tokens in a request, which is not within 1..{most}"
            raise LinkError(f"device at {self.name}", rule, REMEDY)

    @property
    def name(self) -> str:
        """The name of the line."""
        return self._line.name

    @property
    def max_words(self) -> int:
        """The most words that one `step` takes, as the device said."""
        return self._max_tokens

    @property
    def has_logits(self) -> bool:
        """Whether the device said that it answers `logits`."""
        return bool(self._flags & HAS_LOGITS)

    def step(self, words: Sequence[Word]) -> list[Answer]:
        """Send words; return an answer for each that ends a time step."""
        payload = step_payload((word.value, word.last) for word in words)
        reply = self._request(Kind.STEP, payload, ANSWER_BYTES * sum(word.answered for word in words))
        return [Answer(*answer) for answer in step_answers(reply)]

    def read(self, address: int, count: int = 1) -> list[int]:
        """Read consecutive registers; as many requests as it takes."""
        return self._read(Kind.READ, address, count, WORD_BYTES)

    def write(self, address: int, words: Sequence[int]) -> None:
        """Write consecutive registers."""
        for place in range(0, len(words), MAX_WORDS_WRITTEN):
            part = words[place : place + MAX_WORDS_WRITTEN]
            self._request(Kind.WRITE, write_payload(address + WORD_BYTES * place, part), 0)

    def fill(self, address: int, words: Sequence[int]) -> None:
        """Write all words to one register."""
        for place in range(0, len(words), MAX_WORDS_WRITTEN):
            self._request(Kind.FILL, write_payload(address, words[place : place + MAX_WORDS_WRITTEN]), 0)

    def logits(self, first: int, count: int) -> list[int]:
        """Read logits of the last step."""
        return self._read(Kind.LOGITS, first, count, 1)

    def close(self) -> None:
        """Close the line."""
        self._line.close()

    def _read(self, kind: Kind, start: int, count: int, stride: int) -> list[int]:
        words = []
        for place in range(0, count, MAX_WORDS_READ):
            part = min(MAX_WORDS_READ, count - place)
            reply = self._request(kind, read_payload(start + stride * place, part), WORD_BYTES * part)
            words += read_words(reply, signed=kind is Kind.LOGITS)
        return words

    def _request(self, kind: Kind, payload: bytes, reply_bytes: int, attempts: int | None = None) -> bytes:
        """Have a request executed and return the payload of its reply, ``reply_bytes`` long."""
        attempts = self._patience.attempts if attempts is None else attempts
        self._sequence = (self._sequence + 1) & 0xFF
        self.statistics.requests += 1
        request = encode_frame(Sync.REQUEST, Frame(kind, self._sequence, payload))
        wait, line_bytes, silent = self._waits[kind], len(request) + _frame_bytes(reply_bytes), 0
        for attempt in range(attempts):
            # What another program left half sent has to be ended before the greeting too.
            data = RESYNC + request if attempt or kind is Kind.HELLO else request
            started, received = time.monotonic(), self.statistics.bytes_received
            self._send(data)
            reply = self._await_reply(kind, reply_bytes, started + wait.seconds(line_bytes, len(data) - len(request), silent))
            if reply is not None:
                if data == request:
                    wait.learn((time.monotonic() - started) / line_bytes)
                self.statistics.replies += 1
                return self._accepted(kind, reply)
            # After a spoilt reply there is no reason to wait longer for the next one.
            silent += self.statistics.bytes_received == received
            self.statistics.retries += attempt + 1 < attempts
        remedy = "check cable, port and baud rate, and that the bitstream is loaded and out of reset"
        raise LinkError(f"device at {self.name}", f"gave no good reply to {kind.name}, which was sent {attempts} times", remedy)

    def _send(self, data: bytes) -> None:
        self._line.write(data)
        self.statistics.bytes_sent += len(data)

    def _await_reply(self, kind: Kind, reply_bytes: int, deadline: float) -> Frame | None:
        """Return the reply to the request under way; None when it did not come in time, or came spoilt."""
        late = 0  # bytes after the deadline: a reply under way is waited for, a device that never stops is not
        unexplained, last_byte = 0, time.monotonic()  # bytes that were part of no good frame: a spoilt reply, if it goes quiet after them
        while True:
            data = self._line.read()
            now = time.monotonic()
            if data:
                last_byte = now
                self.statistics.bytes_received += len(data)
                unexplained += len(data)
                late += len(data) if now > deadline else 0
                frames = self._decoder.feed(data)
            elif now > deadline or (unexplained and now > last_byte + self._patience.slack_seconds):
                # A spoilt length may hide a good reply behind a frame that never ends.
                frames = self._decoder.flush()
            else:
                continue
            self.statistics.rejected = self._decoder.rejected
            for frame in frames:
                unexplained -= _frame_bytes(len(frame.payload))
                if self._answers(frame, kind, reply_bytes):
                    return frame
                self.statistics.ignored += 1
                if frame.kind in self._waits:
                    # A second reply: the first one had only been late.
                    self._waits[Kind(frame.kind)].was_too_short()
            if not data or late > MOST_LATE:
                return None

    def _answers(self, frame: Frame, kind: Kind, reply_bytes: int) -> bool:
        if frame.sequence != self._sequence:
            return False
        if frame.version != VERSION:
            return True  # its length means nothing to this version; refused by name later
        if frame.kind == Kind.ERROR:
            return len(frame.payload) == 2 and frame.payload[1] == kind
        return frame.kind == kind and len(frame.payload) == reply_bytes

    def _accepted(self, kind: Kind, reply: Frame) -> bytes:
        device = f"device at {self.name}"
        if reply.version != VERSION:
            raise LinkError(device, f"speaks version {reply.version} of the link, this program version {VERSION}", REMEDY)
        if reply.kind != Kind.ERROR:
            return reply.payload
        code = reply.payload[0]
        if code == ErrorCode.NO_SESSION:
            rule = "was reset while it was in use: the state of the network is lost"
            raise SessionLostError(device, rule, "check its power and its reset button, then start again")
        raise LinkError(device, f"{_REFUSALS.get(code, f'gave error {code}')} ({kind.name})", REMEDY)


class _Wait:
    """When to lose patience with requests of one kind: by what earlier ones took per byte, on the line and in execution."""

    def __init__(self, patience: Patience, line_byte_seconds: float, *, executes: bool) -> None:
        self._slack = patience.slack_seconds
        self._first = patience.first_seconds if executes else 0.0
        self._line_byte_seconds = line_byte_seconds
        self._byte_seconds: float | None = None
        self._margin = 1.0

    def seconds(self, line_bytes: int, idle_bytes: int, silent: int) -> float:
        """Return how long to wait for a reply.

        Args:
            line_bytes: Bytes of request and reply.
            idle_bytes: Bytes sent before them, which the device only takes note of.
            silent: Times that nothing came at all.
        """
        idle = FIRST_MARGIN * self._line_byte_seconds * idle_bytes
        if self._byte_seconds is None:
            wait = self._slack + self._first + FIRST_MARGIN * self._line_byte_seconds * line_bytes
        else:
            wait = self._slack + MARGIN * self._byte_seconds * line_bytes
        return idle + wait * min(2.0**silent * self._margin, MAX_BACKOFF)

    def learn(self, byte_seconds: float) -> None:
        """Take note of a request that was answered at once; of one that was repeated nobody knows which sending was answered."""
        known = self._byte_seconds or 0.0
        self._byte_seconds = max(byte_seconds, 0.9 * known + 0.1 * byte_seconds)
        self._margin = 1.0

    def was_too_short(self) -> None:
        """Wait longer, until a request is answered at once and so can be measured."""
        self._margin = min(2 * self._margin, MAX_BACKOFF)


def _frame_bytes(payload_bytes: int) -> int:
    return HEAD_BYTES + payload_bytes + CRC_BYTES
