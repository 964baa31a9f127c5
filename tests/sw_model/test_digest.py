import hashlib

import numpy as np
import pytest

from sw_model.digest import RunDigest

RNG = np.random.default_rng(1)
EVENTS = [RNG.integers(0, 4096, (6, 3, n)) for n in (4, 2)]  # per layer (steps, streams, neurons)
FIRED = [events > 1000 for events in EVENTS]
LOGITS = RNG.integers(-(1 << 33), 1 << 33, (6, 3, 5))


def _digest(events: list[np.ndarray], fired: list[np.ndarray], logits: np.ndarray) -> RunDigest:
    digest = RunDigest(logits.shape[1])
    for t in range(len(logits)):
        digest.update([layer[t] for layer in events], [layer[t] for layer in fired], logits[t])
    return digest


def test_digest_is_what_its_description_says() -> None:
    streams = b""
    for stream in range(3):
        data = b""
        for t in range(6):
            for events, fired in zip(EVENTS, FIRED, strict=True):
                data += events[t, stream].astype("<i2").tobytes() + fired[t, stream].astype("u1").tobytes()
            data += LOGITS[t, stream].astype("<i8").tobytes()
        streams += hashlib.sha256(data).digest()
    assert _digest(EVENTS, FIRED, LOGITS).hexdigest() == hashlib.sha256(streams).hexdigest()


def test_streams_can_be_digested_apart_and_in_any_type_of_number() -> None:
    halves = [_digest([e[:, part] for e in EVENTS], [f[:, part] for f in FIRED], LOGITS[:, part]) for part in (slice(2), slice(2, 3))]
    whole = _digest([e.astype(np.float64) for e in EVENTS], [f.astype(np.float32) for f in FIRED], LOGITS.astype(np.float64))
    assert (halves[0] + halves[1]).hexdigest() == whole.hexdigest() == _digest(EVENTS, FIRED, LOGITS).hexdigest()


@pytest.mark.parametrize("which", ["event", "flag", "logit"])
def test_digest_sees_every_integer(which: str) -> None:
    events, fired, logits = [e.copy() for e in EVENTS], [f.copy() for f in FIRED], LOGITS.copy()
    if which == "event":
        events[1][5, 2, 1] += 1
    elif which == "flag":
        fired[0][0, 0, 0] ^= True
    else:
        logits[3, 1, 4] += 1 << 32
    assert _digest(events, fired, logits).hexdigest() != _digest(EVENTS, FIRED, LOGITS).hexdigest()
