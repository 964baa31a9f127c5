"""The frames of the host link, as docs/host_link.md defines them: constants, encoding, and a decoder that is fed bytes.

Pure Python without a dependency: benches, the simulated board and the host library all speak through it. Payload helpers do not check the
limits of the protocol (`MAX_WORDS_READ` and so on): benches break them on purpose, a host keeps them.
"""

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

VERSION = 1
MAX_PAYLOAD = 255
MAX_WORDS_READ = 63  # of READ and LOGITS: the reply carries them
MAX_WORDS_WRITTEN = 62  # of WRITE and FILL: an address comes with them
HEAD_BYTES = 4  # sync, header, sequence number, length
CRC_BYTES = 4
MAX_FRAME = HEAD_BYTES + MAX_PAYLOAD + CRC_BYTES
RESYNC = bytes(MAX_FRAME - 1)
"""What ends any frame the device may believe itself in: as many bytes as can follow a sync byte, none of them a sync byte."""

LAST_WORD = 0x8000
"""Bit of a word in STEP: it is the last of its sequence."""
HAS_LOGITS = 0x01
"""Bit of the flags in HELLO's reply: the device answers LOGITS."""


class Sync(IntEnum):
    """The first byte of a frame tells its direction."""

    REQUEST = 0xE5
    REPLY = 0x5E


class Kind(IntEnum):
    """What a request asks for; its reply has the same kind, or ERROR."""

    HELLO = 0
    STEP = 1
    READ = 2
    WRITE = 3
    FILL = 4
    LOGITS = 5
    ERROR = 0xF


class ErrorCode(IntEnum):
    """Why a request was not executed; first byte of an ERROR's payload, the second is the kind of the request."""

    UNKNOWN_KIND = 1
    BAD_LENGTH = 2
    ACCESS_REFUSED = 3
    OTHER_VERSION = 4
    NOT_AVAILABLE = 5
    NO_SESSION = 6


@dataclass(frozen=True)
class Frame:
    """What a frame says.

    Attributes:
        kind: 0 to 15; a plain number, since a peer may send what `Kind` does not know.
        sequence: 0 to 255.
        payload: At most `MAX_PAYLOAD` bytes.
        version: 0 to 15.

    Raises:
        ValueError: When a field does not fit into its place.
    """

    kind: int
    sequence: int
    payload: bytes = b""
    version: int = VERSION

    def __post_init__(self) -> None:
        """Check every field against its place."""
        for name, value, limit in (
            ("kind", self.kind, 15),
            ("sequence", self.sequence, 255),
            ("length", len(self.payload), MAX_PAYLOAD),
            ("version", self.version, 15),
        ):
            if not 0 <= value <= limit:
                raise ValueError(f"frame: {name} {value} is not within 0..{limit}")


def encode_frame(sync: Sync, frame: Frame) -> bytes:
    """Return the bytes of ``frame`` on the line."""
    checked = bytes([frame.version << 4 | frame.kind, frame.sequence, len(frame.payload)]) + frame.payload
    return bytes([sync]) + checked + zlib.crc32(checked).to_bytes(CRC_BYTES, "little")


class FrameDecoder:
    """Finds the frames of one direction in a stream of bytes.

    Args:
        sync: The direction it listens to.
        rescan: What follows a false sync byte or a frame with a wrong CRC: True looks for a frame from the next byte on (the host), False
            goes on after the bytes that were taken for a frame (the device, which does not keep them).

    Attributes:
        rejected: Sync bytes that were followed by no good frame.
    """

    def __init__(self, sync: Sync, *, rescan: bool = True) -> None:
        self.rejected = 0
        self._sync = sync
        self._rescan = rescan
        self._pending = bytearray()  # empty, or from a sync byte on

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes off the line and return the frames that they complete."""
        self._pending += data
        frames = []
        while self._seek() and (size := self._frame_size()) <= len(self._pending):
            frame = self._checked(size)
            if frame is not None:
                frames.append(frame)
            else:
                self.rejected += 1
            del self._pending[: 1 if frame is None and self._rescan else size]
        return frames

    def flush(self) -> list[Frame]:
        """Give up the frame that has begun, for instance after a time-out; return the frames that were hidden behind its sync byte."""
        frames = []
        while self._pending:
            self.rejected += 1
            frames += self.feed(self._after_sync())
        return frames

    def _after_sync(self) -> bytes:
        rest = bytes(self._pending[1:]) if self._rescan else b""
        self._pending.clear()
        return rest

    def _seek(self) -> bool:
        """Drop what stands before the first sync byte; return whether a frame's length is there."""
        start = self._pending.find(self._sync)
        del self._pending[: start if start >= 0 else len(self._pending)]
        return len(self._pending) >= HEAD_BYTES

    def _frame_size(self) -> int:
        return HEAD_BYTES + self._pending[3] + CRC_BYTES

    def _checked(self, size: int) -> Frame | None:
        """Return the frame in the first ``size`` pending bytes if its CRC is right."""
        checked, crc = bytes(self._pending[1 : size - CRC_BYTES]), bytes(self._pending[size - CRC_BYTES : size])
        if zlib.crc32(checked).to_bytes(CRC_BYTES, "little") != crc:
            return None
        return Frame(checked[0] & 15, checked[1], checked[3:], checked[0] >> 4)


def step_payload(words: Iterable[tuple[int, bool]]) -> bytes:
    """Return STEP's payload for ``words``, tokens or those of a feature stream, each with whether it is the last of its sequence."""
    return b"".join(struct.pack("<H", word | (LAST_WORD if last else 0)) for word, last in words)


def step_answers(payload: bytes) -> list[tuple[int, int]]:
    """Return class and logit of every time step that ended, in the payload of STEP's reply.

    Raises:
        ValueError: When its length is no multiple of 6.
    """
    if len(payload) % 6:
        raise ValueError(f"frame: {len(payload)} bytes are no whole number of answers")
    return list(struct.iter_unpack("<Hi", payload))


def read_payload(start: int, count: int) -> bytes:
    """Return the payload of READ (``start`` a byte address) and of LOGITS (``start`` a class)."""
    return struct.pack("<HB", start, count)


def write_payload(address: int, words: Sequence[int]) -> bytes:
    """Return the payload of WRITE and FILL; ``words`` are unsigned."""
    return struct.pack(f"<H{len(words)}I", address, *words)


def read_words(payload: bytes, *, signed: bool = False) -> list[int]:
    """Return the words in the reply to READ, or with ``signed`` the logits in that to LOGITS.

    Raises:
        ValueError: When its length is no multiple of 4.
    """
    if len(payload) % 4:
        raise ValueError(f"frame: {len(payload)} bytes are no whole number of words")
    return [word for (word,) in struct.iter_unpack("<i" if signed else "<I", payload)]
