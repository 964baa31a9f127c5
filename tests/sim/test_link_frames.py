import random
import re
import zlib

import pytest

from sim.build_cache import PACKAGE_ROOT
from sim.link_frames import (
    LAST_WORD,
    MAX_FRAME,
    RESYNC,
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

PAGE = (PACKAGE_ROOT / "docs" / "host_link.md").read_text()


def random_frame(rng: random.Random) -> Frame:
    return Frame(rng.randrange(16), rng.randrange(256), rng.randbytes(rng.choice([0, 1, 2, 64, 255])), rng.randrange(16))


def test_the_example_of_the_page_is_the_frame_it_says() -> None:
    examples = re.findall(r"^```\n((?:[0-9a-f]{2} ?)+)\n```$", PAGE, re.MULTILINE)
    frame = Frame(Kind.STEP, 7, step_payload([(3, False), (5, True)]))
    assert [bytes.fromhex(text) for text in examples] == [encode_frame(Sync.REQUEST, frame)]


def test_kinds_and_errors_are_those_of_the_page() -> None:
    kinds = {name: int(number) for number, name in re.findall(r"^\| (\d+) \| ([A-Z]+) \|", PAGE, re.MULTILINE)}
    assert kinds == {kind.name: kind.value for kind in Kind}
    errors = re.findall(r"^\| (\d) \| (?![A-Z])", PAGE.split("## Errors")[1], re.MULTILINE)
    assert sorted(map(int, errors)) == [code.value for code in ErrorCode]


def test_a_frame_is_sync_header_sequence_length_payload_crc() -> None:
    data = encode_frame(Sync.REPLY, Frame(5, 0xAB, b"xyz", 2))
    assert data[:7] == b"\x5e\x25\xab\x03xyz"
    assert data[7:] == zlib.crc32(data[1:7]).to_bytes(4, "little")
    assert len(encode_frame(Sync.REPLY, Frame(0, 0, bytes(255)))) == MAX_FRAME == len(RESYNC) + 1


@pytest.mark.parametrize(
    ("kind", "sequence", "length", "version"), [(16, 0, 0, 1), (0, 256, 0, 1), (0, 0, 256, 1), (0, 0, 0, 16), (-1, 0, 0, 1)]
)
def test_a_field_out_of_its_place_is_refused(kind: int, sequence: int, length: int, version: int) -> None:
    with pytest.raises(ValueError, match=r"^frame: \w+ -?\d+ is not within 0\.\.\d+$"):
        Frame(kind, sequence, bytes(length), version)


@pytest.mark.parametrize("rescan", [True, False])
def test_frames_come_out_as_they_went_in_however_the_bytes_are_cut(rescan: bool) -> None:
    rng = random.Random(1)
    frames = [random_frame(rng) for _ in range(50)]
    line = b"".join(bytes(rng.randrange(5)) + encode_frame(Sync.REQUEST, frame) for frame in frames)
    decoder = FrameDecoder(Sync.REQUEST, rescan=rescan)
    found = []
    while line:
        cut = rng.randrange(1, 400)
        found += decoder.feed(line[:cut])
        line = line[cut:]
    assert found == frames
    assert decoder.rejected == 0


def test_a_flipped_bit_is_always_noticed() -> None:
    good = encode_frame(Sync.REPLY, Frame(Kind.STEP, 3, bytes(range(12))))
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        decoder = FrameDecoder(Sync.REPLY)
        assert decoder.feed(bytes(bad)) + decoder.flush() == []


def test_a_frame_hidden_behind_a_false_sync_byte_is_found() -> None:
    frame = Frame(Kind.READ, 9, b"\x5e\x5e")
    line = b"\x5e\x11\x00\x02" + encode_frame(Sync.REPLY, frame)
    assert FrameDecoder(Sync.REPLY).feed(line) == [frame]
    long_claim = b"\x5e\x11\x00\xff" + encode_frame(Sync.REPLY, frame)
    decoder = FrameDecoder(Sync.REPLY)
    assert decoder.feed(long_claim) == []
    assert decoder.flush() == [frame]
    assert decoder.rejected == 1
    assert decoder.flush() == []


def test_a_device_passes_over_what_it_took_for_a_frame() -> None:
    frame = Frame(Kind.READ, 9, b"ab")
    decoder = FrameDecoder(Sync.REQUEST, rescan=False)
    assert decoder.feed(b"\xe5\x11\x00\x02" + encode_frame(Sync.REQUEST, frame)) == []
    assert decoder.feed(RESYNC + encode_frame(Sync.REQUEST, frame)) == [frame]
    decoder.feed(b"\xe5\x11\x00\xff" + encode_frame(Sync.REQUEST, frame))
    assert decoder.flush() == []


def test_zeros_end_every_frame() -> None:
    rng = random.Random(2)
    frame = Frame(Kind.HELLO, 0)
    for _ in range(300):
        decoder = FrameDecoder(Sync.REQUEST, rescan=False)
        decoder.feed(b"\xe5" + rng.randbytes(rng.choice([0, 2, 3, 200])))
        assert decoder.feed(RESYNC) == []
        assert decoder.feed(encode_frame(Sync.REQUEST, frame)) == [frame]


def test_payloads() -> None:
    assert step_payload([(0x1234, False), (1, True)]) == b"\x34\x12\x01\x80"
    assert LAST_WORD == 1 << 15
    assert step_answers(b"\x02\x00\xff\xff\xff\xff\x00\x01\x00\x00\x00\x80") == [(2, -1), (256, -(1 << 31))]
    assert read_payload(0x102, 3) == b"\x02\x01\x03"
    assert write_payload(4, [1, 0xFFFF_FFFE]) == b"\x04\x00\x01\x00\x00\x00\xfe\xff\xff\xff"
    assert read_words(b"\xfe\xff\xff\xff") == [0xFFFF_FFFE]
    assert read_words(b"\xfe\xff\xff\xff", signed=True) == [-2]


def test_cut_payloads_are_refused() -> None:
    with pytest.raises(ValueError, match="7 bytes are no whole number of answers"):
        step_answers(bytes(7))
    with pytest.raises(ValueError, match="3 bytes are no whole number of words"):
        read_words(bytes(3))
