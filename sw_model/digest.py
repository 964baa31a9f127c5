"""One SHA-256 over every integer of a run, so that two implementations can be compared without keeping what they computed."""

import hashlib
from collections.abc import Sequence

import numpy as np


class RunDigest:
    """Digest of a run over several streams.

    Every stream has an SHA-256 of its own over its time steps, first to last. A step adds, layer by layer, the event values (int16) and the
    event flags (one byte, 0 or 1), then the logits (int64); integers are little-endian. The digest of the run is the SHA-256 over the
    streams' digests of 32 bytes each, in the order of the streams. So it depends neither on how many steps are computed at a time, nor on
    who computes which streams, but on every integer.
    """

    def __init__(self, streams: int) -> None:
        """Start a run of ``streams`` streams."""
        self._streams = [hashlib.sha256() for _ in range(streams)]

    def update(self, events: Sequence[np.ndarray], fired: Sequence[np.ndarray], logits: np.ndarray) -> None:
        """Add one time step of every stream; any type of number that holds the integers will do.

        Args:
            events: Per layer the event values, shape (streams, neurons), ``event_bits`` fraction bits.
            fired: Per layer 1 or True where an event was sent, same shape.
            logits: Shape (streams, classes), ``decoder.weight_frac + event_bits`` fraction bits.
        """
        step = []
        for values, flags in zip(events, fired, strict=True):
            step += [np.ascontiguousarray(values, "<i2"), np.ascontiguousarray(flags, "u1")]
        step.append(np.ascontiguousarray(logits, "<i8"))
        for stream, *rows in zip(self._streams, *step, strict=True):
            for row in rows:
                stream.update(row)

    def __add__(self, other: "RunDigest") -> "RunDigest":
        """Return the run over the streams of both, those of ``other`` last."""
        joined = RunDigest(0)
        joined._streams = self._streams + other._streams
        return joined

    def hexdigest(self) -> str:
        """Return the digest of all that was added so far as 64 hexadecimal digits."""
        return hashlib.sha256(b"".join(stream.digest() for stream in self._streams)).hexdigest()
