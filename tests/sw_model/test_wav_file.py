import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from sw_model.errors import UserError
from sw_model.wav_file import MAX_WAV_BYTES, read_wav

RATE = 16_000


def wav(frames: bytes, bits: int = 16, channels: int = 1, rate: int = RATE) -> bytes:
    """Written by the standard library."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((channels, bits // 8, rate, 0, "NONE", "NONE"))
        writer.writeframes(frames)
    return file.getvalue()


def chunks(*parts: tuple[bytes, bytes]) -> bytes:
    body = b"WAVE" + b"".join(name + struct.pack("<I", len(part)) + part + bytes(len(part) % 2) for name, part in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def fmt(number: int = 1, channels: int = 1, rate: int = RATE, bits: int = 16, extra: bytes = b"") -> tuple[bytes, bytes]:
    stride = channels * bits // 8
    return b"fmt ", struct.pack("<HHIIHH", number, channels, rate, rate * stride, stride, bits) + extra


def extensible(number: int) -> bytes:
    """What follows the first 16 bytes: size, valid bits, speakers, identifier."""
    return struct.pack("<HHIH", 22, 24, 4, number) + bytes.fromhex("000000001000800000aa00389b71")


TWO = (b"data", b"\x01\x00\xff\xff")


def read(tmp_path: Path, data: bytes, *, mix_down: bool = False) -> list[float]:
    path = tmp_path / "a clip.wav"
    path.write_bytes(data)
    return [float(value) for value in read_wav(path, RATE, mix_down=mix_down)]


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_every_width_is_read_exactly(bits: int, tmp_path: Path) -> None:
    top = 1 << (bits - 1)
    values = [0, 1, -1, top - 1, -top, top // 3, -top // 5]
    frames = b"".join((value + top).to_bytes(1) if bits == 8 else value.to_bytes(bits // 8, "little", signed=True) for value in values)
    assert read(tmp_path, wav(frames, bits)) == [value / top for value in values]


def test_other_chunks_are_passed_over(tmp_path: Path) -> None:
    data = chunks((b"LIST", b"odd"), fmt(), (b"fact", b"1234"), TWO, (b"data", b"never"))
    assert read(tmp_path, data) == [1 / 32768, -1 / 32768]


def test_the_extensible_header_of_24_bits_is_read(tmp_path: Path) -> None:
    data = chunks(fmt(0xFFFE, bits=24, extra=extensible(1)), (b"data", b"\x00\x00\x40\x00\x00\x80"))
    assert read(tmp_path, data) == [0.5, -1.0]


def test_channels_are_mixed_only_when_asked(tmp_path: Path) -> None:
    data = wav(struct.pack("<4h", 16384, -16384, 8192, 16384), channels=2)
    with pytest.raises(UserError, match=r"has 2 channels, not one; ask for their mean \(--mix-down\), or convert it"):
        read(tmp_path, data)
    assert read(tmp_path, data, mix_down=True) == [0.0, 0.375]


REFUSED = {
    "empty": (b"", "is empty"),
    "no wav": (
        b"ID3" + bytes(100),
        "is not a wav file: it does not begin with RIFF and WAVE; convert it, e.g. with ffmpeg -i '.*a clip.wav'",
    ),
    "a few bytes": (b"RIFF\x04", "is not a wav file"),
    "another RIFF": (chunks(fmt(), TWO).replace(b"WAVE", b"AVI "), "is not a wav file"),
    "another rate": (wav(bytes(8), rate=44_100), "has 44100 samples per second, not 16000; convert it, .* -ar 16000"),
    "compressed": (chunks(fmt(0x55), TWO), r"holds MP3 samples \(format 85\), not linear PCM; convert it"),
    "telephone": (chunks(fmt(7, bits=8), TWO), "µ-law"),
    "floats": (chunks(fmt(0xFFFE, bits=32, extra=extensible(3)), TWO), r"floating point samples \(format 3\)"),
    "an unknown subformat": (chunks(fmt(0xFFFE, extra=extensible(1)[:-1] + b"!"), TWO), "format 65534"),
    "an extensible header without its end": (chunks(fmt(0xFFFE), TWO), "format 65534"),
    "12 bits": (chunks(fmt(bits=12), TWO), "has samples of 12 bits"),
    "no channels": (chunks(fmt(channels=0), TWO), "is damaged: 0 channels of 16 bits in 0 bytes"),
    "no samples": (wav(b""), "holds no samples"),
    "half a sample": (chunks(fmt(), (b"data", b"\x01\x00\x02")), "3 bytes are no whole number of samples"),
    "a short format": (chunks((b"fmt ", bytes(14)), TWO), "its format takes 14 bytes"),
    "samples before the format": (chunks(TWO, fmt()), "has samples before the chunk that describes them"),
    "no chunk of samples": (chunks(fmt()), "ends before its samples"),
    "cut": (wav(bytes(2000))[:1000], "is truncated: it declares 2000 bytes of samples and holds 956"),
    "cut in its header": (wav(bytes(2000))[:30], "its format takes 10 bytes, not 16 or more"),
    "a declared 4 GiB": (chunks(fmt(), TWO)[:-8] + b"\xff\xff\xff\xff" + TWO[1], "declares 4294967295 bytes of samples and holds 4"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_such_file_is_refused(case: str, tmp_path: Path) -> None:
    data, said = REFUSED[case]
    with pytest.raises(UserError, match=said):
        read(tmp_path, data)


def test_a_missing_and_a_huge_file_are_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_wav(tmp_path / "none.wav", RATE)
    with (tmp_path / "huge.wav").open("wb") as file:
        file.truncate(MAX_WAV_BYTES + 1)
    with pytest.raises(UserError, match="exceeds the limit"):
        read_wav(tmp_path / "huge.wav", RATE)


def test_samples_are_those_of_the_standard_library(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-32768, 32768, 999).astype("<i2")
    data = wav(values.tobytes())
    with wave.open(io.BytesIO(data)) as reader:
        expected = np.frombuffer(reader.readframes(999), "<i2") / 32768
    assert read(tmp_path, data) == expected.tolist()
