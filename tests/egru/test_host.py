import os
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egru.host import Accelerator, Answer, LinkError, SessionLostError, Word
from egru.host.line import Line, NoisyLine, SerialLine
from egru.host.pynq_transport import PynqTransport
from egru.host.serial_transport import Patience, SerialTransport
from hls_gen.registers import COUNTERS, Register
from sim.link_frames import Frame, FrameDecoder, Sync, encode_frame
from sw_model.errors import UserError
from tests.egru.fake_device import CLASSES, MODEL_HASH, TOKENS, FakeDevice, answers, pseudo_terminal

BAUD = 10_000_000
QUICK = Patience(first_seconds=0.004, slack_seconds=0.002, attempts=16, greeting_attempts=12)


class Clock:
    """Time that passes only while a `FakeLine` is read, so that no test depends on how busy the machine is."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


CLOCK = Clock()


@pytest.fixture(autouse=True)
def _fake_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egru.host.serial_transport.time", CLOCK)


class FakeLine:
    """Joins a host to a fake device in this process.

    Args:
        device: The device.
        late: Reads that find nothing before a reply is there.
    """

    name = "fake"

    def __init__(self, device: FakeDevice, late: int = 0) -> None:
        self.closed = False
        self.frames = 0
        self._device, self._late = device, late
        self._waiting = bytearray()
        self._left = 0

    def write(self, data: bytes) -> None:
        self.frames += 1
        self._waiting += self._device.feed(data)
        self._left = self._late

    def read(self) -> bytes:
        if not self._waiting or self._left:
            self._left = max(0, self._left - 1)
            CLOCK.now += 0.0005
            return b""
        # In pieces, as a port gives them.
        piece = bytes(self._waiting[:50])
        del self._waiting[:50]
        return piece

    def close(self) -> None:
        self.closed = True


def connect(device: FakeDevice, line: Line | None = None, patience: Patience = QUICK, **options: Any) -> Accelerator:
    return Accelerator(SerialTransport(FakeLine(device) if line is None else line, BAUD, patience), **options)


def some_tokens(count: int, seed: int = 1) -> list[int]:
    return random.Random(seed).choices(range(TOKENS), k=count)


def test_it_reads_what_the_device_is() -> None:
    with connect(FakeDevice(), model_hash=MODEL_HASH) as accelerator:
        info = accelerator.info
    assert (info.version, info.model_hash) == ((0, 1, 0), MODEL_HASH)
    assert (info.blocks, info.lanes, info.tokens, info.classes) == (3, 6, TOKENS, CLASSES)


@pytest.mark.parametrize("batch", [None, 1, 7, 1000])
def test_every_token_is_answered_in_its_order(batch: int | None) -> None:
    device, tokens = FakeDevice(), some_tokens(100)
    with connect(device) as accelerator:
        found = list(accelerator.stream(tokens, batch=batch))
    assert found == answers(tokens)
    assert device.steps == 100
    assert device.executed[1] == -(-100 // min(batch or 32, 32))
    assert (accelerator.statistics.retries, accelerator.statistics.rejected, accelerator.statistics.ignored) == (0, 0, 0)


def test_a_sequence_ends_where_it_is_said_to() -> None:
    tokens = some_tokens(40)
    with connect(FakeDevice()) as accelerator:
        first = list(accelerator.stream(tokens[:32], end=False))
        assert first + list(accelerator.stream(tokens[32:])) == answers(tokens)
        assert list(accelerator.stream([])) == []
        assert [accelerator.step(tokens[0]), accelerator.step(tokens[1], last=True)] == answers(tokens[:2])
        assert accelerator.step(tokens[0]) == answers(tokens[:1])[0]
        accelerator.reset()
        assert accelerator.step(tokens[0]) == answers(tokens[:1])[0]


@pytest.mark.parametrize(("rate", "seed"), [(0.001, 1), (0.002, 2), (0.004, 3), (0.004, 4)])
def test_noise_in_both_directions_changes_no_answer(rate: float, seed: int) -> None:
    device, tokens = FakeDevice(), some_tokens(2000, seed)
    line = NoisyLine(FakeLine(device), rate, seed)
    with connect(device, line) as accelerator:
        found = list(accelerator.stream(tokens, batch=16))
    assert found == answers(tokens)
    assert device.steps == 2000  # nothing was executed twice
    for damage in (line.sent, line.received):
        assert min(damage.dropped, damage.doubled, damage.flipped) > 0
        assert damage.total == damage.dropped + damage.doubled + damage.flipped
    assert accelerator.statistics.retries > 5
    assert accelerator.statistics.rejected > 0


def test_a_lost_reply_is_asked_for_again_and_not_executed_again() -> None:
    device, tokens, sent = FakeDevice(), some_tokens(320), 0

    def lose_every_third(reply: bytes) -> bytes:
        nonlocal sent
        sent += 1
        return b"" if sent % 3 == 0 else reply

    device.spoil = lose_every_third
    with connect(device) as accelerator:
        assert list(accelerator.stream(tokens)) == answers(tokens)
    assert (device.steps, device.executed[1]) == (320, 10)
    assert accelerator.statistics.retries >= 4


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x5e",
        b"\x5e\x11\x02\xff",  # promises more than will come
        encode_frame(Sync.REPLY, Frame(1, 0, bytes(6)))[:-1],
        bytes(range(256)),
    ],
)
def test_garbage_around_a_reply_hides_nothing(garbage: bytes) -> None:
    device, tokens = FakeDevice(), some_tokens(64)
    device.spoil = lambda reply: garbage + reply + garbage
    with connect(device) as accelerator:
        assert list(accelerator.stream(tokens)) == answers(tokens)
    assert device.steps == 64
    assert accelerator.statistics.rejected > 0


def test_late_replies_are_waited_for_longer_and_longer_and_never_taken_for_others() -> None:
    device, tokens = FakeDevice(), some_tokens(160)
    line = FakeLine(device, late=30)
    with connect(device, line) as accelerator:
        assert list(accelerator.stream(tokens, batch=16)) == answers(tokens)
    assert device.steps == 160
    statistics = accelerator.statistics
    assert statistics.retries > 0
    assert statistics.ignored > 0  # the second replies
    assert statistics.retries < 2 * statistics.requests


def test_the_decoder_of_the_device_is_freed_before_a_request_is_sent_again() -> None:
    device = FakeDevice()
    with connect(device) as accelerator:
        device.feed(b"\xe5\x11\x00\xff")  # it now believes itself in the longest frame of all
        assert accelerator.step(3) == answers([3])[0]
    assert accelerator.statistics.retries == 1


def test_a_device_that_was_reset_gives_no_further_answer() -> None:
    device = FakeDevice()
    with connect(device) as accelerator:
        accelerator.step(3)
        device.reset()
        with pytest.raises(SessionLostError, match="device at fake was reset while it was in use: the state of the network is lost; check"):
            accelerator.step(4)
    assert device.steps == 1


def test_silence_is_given_up_after_some_tries() -> None:
    device = FakeDevice()
    device.spoil = lambda _: b""
    line = FakeLine(device)
    with pytest.raises(LinkError, match="device at fake gave no good reply to HELLO, which was sent 3 times; check cable, port and baud"):
        connect(device, line, Patience(0.002, 0.001, greeting_attempts=3))
    assert (line.frames, line.closed) == (3, True)


def test_a_cable_that_is_pulled_is_given_up_after_some_tries() -> None:
    device = FakeDevice()
    with connect(device, patience=Patience(0.002, 0.001, attempts=4)) as accelerator:
        accelerator.step(1)
        device.spoil = lambda _: b""
        with pytest.raises(LinkError, match="no good reply to STEP, which was sent 4 times"):
            accelerator.step(2)
    assert device.steps == 2
    assert accelerator.statistics.retries == 3


def test_weights_are_loaded_and_the_device_must_then_name_the_model() -> None:
    device = FakeDevice(words={0x064: 0, 0x068: 0})
    with connect(device) as accelerator:
        accelerator.step(3)
        fills = device.executed.get(4, 0)
        accelerator.load_weights([(0x064, [0x1000]), (0x068, range(200)), (0x010, [5])])
        assert (device.words[0x064], device.words[0x068]) == (0x1000, 199)
        assert device.executed[4] - fills == 1 + 4 + 1
        assert accelerator.info.model_hash == MODEL_HASH[:-8] + "00000005"
        assert accelerator.step(3) == answers([3])[0]  # a new sequence
        with pytest.raises(LinkError, match="holds model 001122334455…, not 1234…"):
            accelerator.load_weights([(0x010, [6])], model_hash="1234")


def test_a_device_without_weights_is_taken_only_to_load_them() -> None:
    empty = {0x010 + 4 * word: 0 for word in range(8)}
    for wanted in (MODEL_HASH, None):
        with pytest.raises(LinkError, match=r"has no weights yet: they are in RAM that starts empty; give egru run the folder"):
            connect(FakeDevice(words=empty), model_hash=wanted)
    device = FakeDevice(words={**empty, 0x064: 0, 0x068: 0})
    words = [int(MODEL_HASH, 16) >> 32 * place & 0xFFFF_FFFF for place in range(8)]
    with connect(device, model_hash=MODEL_HASH, may_be_empty=True) as accelerator:
        assert accelerator.info.is_empty
        with pytest.raises(LinkError, match="has no weights yet"):
            accelerator.load_weights([(0x064, [0x1000])], MODEL_HASH)
        accelerator.load_weights([(0x068, range(20)), *((0x010 + 4 * place, [word]) for place, word in enumerate(words))], MODEL_HASH)
        assert not accelerator.info.is_empty
        assert accelerator.step(3) == answers([3])[0]
    with pytest.raises(LinkError, match="holds model 0000"):
        connect(FakeDevice(words={**empty, 0x010: 1}), model_hash=MODEL_HASH, may_be_empty=True)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({0x000: 0x12345678}, "has ID 0x12345678, not 0x45475255"),
        ({0x004: 0x00020005}, r"has registers of version 2\.0\.5; this program knows 0\.1\.0"),
        ({0x010: 0}, r"holds model [0-9a-f]{12}…, not 001122334455…; load the bitstream"),
    ],
)
def test_another_device_is_refused_by_name(words: dict[int, int], what: str) -> None:
    device = FakeDevice(words=words)
    line = FakeLine(device)
    with pytest.raises(LinkError, match=what):
        connect(device, line, model_hash=MODEL_HASH)
    assert line.closed


def test_another_version_of_the_link_is_refused_by_name() -> None:
    with pytest.raises(LinkError, match=r"speaks version 2 of the link, this program version 1"):
        connect(FakeDevice(version=2))


def test_what_the_device_refuses_is_said() -> None:
    with connect(FakeDevice(has_logits=False)) as accelerator:
        with pytest.raises(LinkError, match=r"refused the access: no such register \(READ\)"):
            accelerator.read_registers(0x00C)
        with pytest.raises(LinkError, match=r"refused the access: no such register \(FILL\)"):
            accelerator.fill_register(0x00C, [1])
        with pytest.raises(UserError, match="gives no logits"):
            accelerator.logits()
        assert accelerator.statistics.retries == 0  # a refusal is an answer


def test_unknown_tokens_and_batches_are_refused_before_they_are_sent() -> None:
    device = FakeDevice()
    with connect(device) as accelerator:
        for token in (-1, TOKENS):
            with pytest.raises(UserError, match=f"token {token} is unknown .* use 0 to {TOKENS - 1}"):
                accelerator.step(token)
        with pytest.raises(UserError, match="batch=0 is not positive"):
            list(accelerator.stream([1], batch=0))
    assert device.steps == 0


def test_logits_are_those_of_the_last_step() -> None:
    with connect(FakeDevice(words={0x060: 150})) as accelerator:
        answer = accelerator.step(5)
        logits = accelerator.logits()
    assert logits == [answer.logit - abs(place - 3) for place in range(150)]  # three requests


def test_counters_are_read_low_word_first_and_have_names() -> None:
    with connect(FakeDevice()) as accelerator:
        counters = accelerator.counters()
    assert counters.cycles in (0x40 << 32, 0x40_FFFF_FFFF)
    assert counters.steps >> 32 == 0x48
    assert [block["macs"] >> 32 for block in counters.blocks] == [0x118, 0x198, 0x218]
    assert [tuple(block) for block in counters.blocks] == [COUNTERS] * 3
    assert counters.events == sum(block["own_events"] for block in counters.blocks)
    assert counters.to_json()["macs"] == counters.macs


def test_registers_are_written_and_read() -> None:
    device = FakeDevice(words={0x300 + 4 * place: 0 for place in range(100)})
    with connect(device) as accelerator:
        accelerator.write_registers(0x300, range(100))
        assert accelerator.read_registers(0x300, 100) == list(range(100))
        accelerator.fill_register(0x300, range(1000, 1100))
        assert accelerator.read_registers(0x300) == [1099]
        accelerator.clear_counters()
        assert device.words[Register.CONTROL] == 4
        assert not accelerator.saw_unknown_token()


def test_a_pseudo_terminal_is_a_port_and_carries_every_byte() -> None:
    device, tokens = FakeDevice(), some_tokens(500)
    with pseudo_terminal(device) as port, connect(device, SerialLine(port, 115_200), Patience()) as accelerator:
        assert list(accelerator.stream(tokens)) == answers(tokens)
        assert accelerator.name == port
    assert accelerator.statistics.retries == 0


def test_a_port_that_is_not_there_or_goes_away_is_named(tmp_path: Any) -> None:
    with pytest.raises(LinkError, match=r"port \S*/ttyNONE cannot be opened at 9600 baud \(No such file"):
        SerialLine(str(tmp_path / "ttyNONE"), 9600)
    master, slave = os.openpty()
    line = SerialLine(os.ttyname(slave), 9600)
    with pytest.raises(LinkError, match="another program uses it"):
        SerialLine(os.ttyname(slave), 9600)
    os.close(slave)
    os.close(master)
    with pytest.raises(LinkError, match=r"port /dev/pts/\d+ was lost"):
        line.read()
    with pytest.raises(LinkError, match=r"port /dev/pts/\d+ was lost"):
        line.write(b"x")


@given(st.binary(max_size=600), st.binary(max_size=255), st.binary(max_size=600), st.integers(1, 100))
def test_a_good_frame_is_found_in_any_bytes(before: bytes, payload: bytes, after: bytes, piece: int) -> None:
    frame = Frame(3, 200, payload)
    data = before + encode_frame(Sync.REPLY, frame) + after
    decoder = FrameDecoder(Sync.REPLY)
    found = [one for place in range(0, len(data), piece) for one in decoder.feed(data[place : place + piece])] + decoder.flush()
    assert frame in found


@given(st.lists(st.binary(max_size=300), max_size=8))
@settings(max_examples=30, deadline=None)
def test_arbitrary_bytes_are_no_answer(noise: list[bytes]) -> None:
    device = FakeDevice()
    accelerator = connect(device, patience=Patience(0.001, 0.0005, attempts=len(noise) + 2, greeting_attempts=2))
    replies: list[bytes] = list(noise)

    def after_the_noise(reply: bytes) -> bytes:
        return replies.pop(0) if replies else reply

    device.spoil = after_the_noise
    assert accelerator.step(9) == answers([9])[0]
    assert device.steps == 1


def frames_of(*, seed: int, count: int) -> np.ndarray:
    """Draw frames, silent, sparse and full ones: of 40 channels, so that a full one has more words than a request takes."""
    rng = np.random.default_rng(seed)
    density = rng.choice([0.0, 0.1, 1.0], (count, 1))
    return np.where(rng.random((count, TOKENS)) < density, rng.integers(1, 16, (count, TOKENS)), 0)


def feature_answers(frames: np.ndarray) -> list[Answer]:
    """What the fake's network answers to a sequence of frames, see `FakeDevice.event_bits`."""
    return [Answer(*one) for one in answers([sum(channel << 4 | frame[channel] for channel in np.flatnonzero(frame)) for frame in frames])]


@pytest.mark.parametrize("batch", [None, 1, 7])
def test_frames_are_streamed_as_words_of_events(batch: int | None) -> None:
    device, frames = FakeDevice(event_bits=4), frames_of(seed=3, count=30)
    words = int(np.count_nonzero(frames)) + len(frames)
    with Accelerator(SerialTransport(FakeLine(device), BAUD, QUICK), event_bits=4) as accelerator:
        assert list(accelerator.stream(frames[:9], batch=batch, end=False)) == feature_answers(frames)[:9]
        assert list(accelerator.stream(frames[9:], batch=batch)) == feature_answers(frames)[9:]
        assert device.executed[1] <= words if batch == 1 else words // (batch or 32) <= device.executed[1] <= words // (batch or 32) + 2
        # The sequence has ended, and only there.
        assert accelerator.step(frames[1]) == feature_answers(frames[1:2])[0]
        assert list(accelerator.stream([])) == []
    assert device.steps == 31


def test_a_frame_of_more_words_than_a_request_takes_goes_in_several() -> None:
    device, full = FakeDevice(event_bits=4), np.full(TOKENS, 15)
    line = FakeLine(device)
    with Accelerator(SerialTransport(NoisyLine(line, 0.02, 5), BAUD, QUICK), event_bits=4) as accelerator:
        assert accelerator.step(full.tolist(), last=True) == feature_answers(full[None])[0]
        assert (device.executed[1], device.steps) == (2, 1)
        assert accelerator.step(full) == feature_answers(full[None])[0]
        for wrong, message in (
            (np.zeros(39, int), r"input events of shape \(39,\), int64 are not integers of the 40 channels of the device at fake"),
            (np.zeros(40), r"input events of shape \(40,\), float64 are not integers"),
            (full + 1, r"input event 16 of channel 0 is not within 0\.\.15; give 40 integers of 0 to 15"),
            (full * [*[1] * 39, -1], "input event -15 of channel 39 is not within"),
        ):
            with pytest.raises(UserError, match=message):
                accelerator.step(wrong)
    assert device.executed[1] == 4


class FakeChannel:
    """One direction of a DMA: runs when it is given a transfer, idle after some polls."""

    def __init__(self, run: Callable[[Any, int], None], polls: int = 3) -> None:
        self.error = False
        self._run, self._polls, self._left = run, polls, 0

    def transfer(self, buffer: Any, nbytes: int) -> None:
        self._left = self._polls
        self._run(buffer, nbytes)

    @property
    def idle(self) -> bool:
        self._left -= 1
        return self._left < 0


class FakeOverlay:
    """DMA and registers of an overlay whose network gives tied logits on purpose."""

    def __init__(self, stuck: bool = False, event_bits: int = 0) -> None:
        device, self.event_bits = FakeDevice(), event_bits
        self.words = device.words
        self.transfers: list[list[int]] = []
        self.freed = 0
        self._target: Any = None
        self.recvchannel = FakeChannel(self._receive, polls=10**9 if stuck else 3)
        self.sendchannel = FakeChannel(self._send)

    def allocate(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return np.full(shape, 99, dtype)

    def read(self, offset: int) -> int:
        return self.words.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        self.words[offset] = value

    def _receive(self, buffer: Any, nbytes: int) -> None:
        self._target = (buffer, nbytes)

    def _send(self, buffer: Any, nbytes: int) -> None:
        words = [int(word) for word in buffer[: nbytes // 2]]
        self.transfers.append(words)
        tokens = [word for word in words if word % (1 << self.event_bits) == 0]  # each of them, or the ends of time steps
        target, size = self._target
        assert size == 4 * CLASSES * len(tokens)
        for place, token in enumerate(tokens):
            row = np.full(CLASSES, -9)
            row[[token % CLASSES, (token + 5) % CLASSES]] = -token  # a tie
            target[place * CLASSES : (place + 1) * CLASSES] = row


def pynq(overlay: FakeOverlay, **options: Any) -> PynqTransport:
    return PynqTransport(overlay, overlay, CLASSES, allocate=overlay.allocate, **options)


def test_pynq_streams_a_sequence_in_a_transfer_and_a_tie_goes_to_the_lowest_class() -> None:
    overlay, tokens = FakeOverlay(), [0, 1, 3, 8]
    with Accelerator(pynq(overlay), model_hash=MODEL_HASH) as accelerator:
        found = list(accelerator.stream(tokens))
        logits = accelerator.logits()
    assert found == [Answer(min(token % CLASSES, (token + 5) % CLASSES), -token) for token in tokens]
    assert overlay.transfers == [tokens]
    assert [place for place, logit in enumerate(logits) if logit == -8] == [8, 13]
    assert accelerator.statistics.bytes_received == 4 * CLASSES * 4


def test_pynq_streams_events_and_gets_the_logits_of_every_step() -> None:
    overlay, frames = FakeOverlay(event_bits=4), np.zeros((3, TOKENS), np.int64)
    frames[0, 2], frames[2, 39] = 5, 15
    transport = pynq(overlay)
    with Accelerator(transport, event_bits=4) as accelerator:
        assert list(accelerator.stream(frames)) == [Answer(0, 0)] * 3
    assert overlay.transfers == [[2 << 4 | 5, 0, 0, 39 << 4 | 15, 0]]
    assert transport.step_logits.tolist() == [[0, *[-9] * 4, 0, *[-9] * 11]] * 3
    assert accelerator.statistics.bytes_sent == 2 * 5


def test_pynq_refuses_what_a_transfer_cannot_be() -> None:
    overlay = FakeOverlay()
    transport = pynq(overlay, max_words=4)
    with pytest.raises(UserError, match="a transfer of 1 words must be one whole sequence"):
        transport.step([Word(3)])
    with Accelerator(transport) as accelerator, pytest.raises(UserError, match="stream whole sequences of at most 4 words"):
        list(accelerator.stream([1, 2, 3, 4, 5]))
    assert overlay.transfers == []


def test_pynq_names_a_transfer_that_fails_or_hangs() -> None:
    overlay = FakeOverlay(stuck=True)
    transport = pynq(overlay, timeout_seconds=1)  # long enough for the words on a busy machine
    with pytest.raises(LinkError, match=r"did not finish moving logits within 1 s"):
        transport.step([Word(3, last=True)])
    overlay.recvchannel.error = True
    with pytest.raises(LinkError, match="failed while it moved logits; load the overlay again"):
        transport.step([Word(3, last=True)])
