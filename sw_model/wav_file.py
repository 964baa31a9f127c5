"""Reading wav files: linear PCM of 8, 16, 24 or 32 bits.

Written out, since the standard library's `wave` reads WAVE_FORMAT_EXTENSIBLE, which sox and ffmpeg write for 24 bits, from Python 3.12 on
only, believes the sizes that a header declares, and does not say what is wrong in words of the user.

Format: Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991), "Waveform Audio File Format"; the extensible
header, Microsoft's documentation of WAVEFORMATEXTENSIBLE. A file is ``RIFF``, its size, ``WAVE``, and chunks of a name, a size and so many
bytes, padded to an even number; ``fmt`` comes before ``data``. All numbers are little endian.
"""

import shlex
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sw_model.errors import UserError
from sw_model.input_file import read_bytes

#: Half an hour of 16 bits at 16 kHz. A sample takes 8 bytes once it is read.
MAX_WAV_BYTES = 1 << 26
#: More would be a damaged header.
MAX_CHANNELS = 128
SAMPLE_BITS = (8, 16, 24, 32)

_PCM, _EXTENSIBLE = 1, 0xFFFE
_OTHER_FORMATS = {2: "ADPCM", 3: "floating point", 6: "A-law", 7: "µ-law", 0x11: "IMA ADPCM", 0x31: "GSM 6.10", 0x55: "MP3"}
#: What follows the format's number in the identifier of an extensible header.
_SUBFORMAT = bytes.fromhex("0000 0000 1000 8000 00aa 0038 9b71")


class _Layout(NamedTuple):
    channels: int
    rate: int
    bits: int


def read_wav(path: Path, rate: int, *, mix_down: bool = False) -> np.ndarray:
    """Read a wav file as one channel.

    Args:
        path: The file.
        rate: Samples per second that it must have; nothing is resampled.
        mix_down: Take the mean of all channels; without it a file of more than one is refused.

    Returns:
        float64, shape (samples,), full scale 1: exactly the integers divided by 2^(bits - 1).

    Raises:
        UserError: When the file is missing, too large, no wav file, compressed, truncated, empty, of another rate, or of several channels
            without ``mix_down``.
    """
    path = Path(path)
    convert = f"convert it, e.g. with ffmpeg -i {shlex.quote(str(path))} -ac 1 -ar {rate} -c:a pcm_s16le NEW.wav"
    what = f"wav file {path}"
    data = read_bytes(path, "wav file", f"give a wav file of at most {MAX_WAV_BYTES >> 20} MiB; cut longer ones into parts", MAX_WAV_BYTES)
    if not data:
        raise UserError(what, "is empty", "record or download it again")
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise UserError(what, "is not a wav file: it does not begin with RIFF and WAVE", convert)
    layout: _Layout | None = None
    for name, size, content in _chunks(memoryview(data)):
        if name == b"fmt ":
            layout = _layout(content, what, convert)
        elif name == b"data":
            if layout is None:
                raise UserError(what, "has samples before the chunk that describes them", convert)
            _require_wanted(layout, rate, mix_down, what, convert)
            if size > len(content):
                raise UserError(
                    what, f"is truncated: it declares {size} bytes of samples and holds {len(content)}", "record or download it again"
                )
            return _samples(content, layout, what)
    raise UserError(what, "is truncated: it ends before its samples", "record or download it again")


def _chunks(data: memoryview) -> Iterator[tuple[bytes, int, memoryview]]:
    """Yield name, declared size and content of every chunk; the content ends where the file does."""
    place = 12
    while place + 8 <= len(data):
        name, size = bytes(data[place : place + 4]), int.from_bytes(data[place + 4 : place + 8], "little")
        yield name, size, data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def _layout(content: memoryview, what: str, convert: str) -> _Layout:
    if len(content) < 16:
        raise UserError(what, f"is damaged: its format takes {len(content)} bytes, not 16 or more", "record or download it again")
    number, channels, rate, _, stride, bits = struct.unpack_from("<HHIIHH", content)
    if number == _EXTENSIBLE and len(content) >= 40 and content[26:40] == _SUBFORMAT:
        number = int.from_bytes(content[24:26], "little")
    if number != _PCM:
        raise UserError(what, f"holds {_OTHER_FORMATS.get(number, 'another')} samples (format {number}), not linear PCM", convert)
    if bits not in SAMPLE_BITS:
        raise UserError(what, f"has samples of {bits} bits, not 8, 16, 24 or 32", convert)
    if not 1 <= channels <= MAX_CHANNELS or stride != channels * bits // 8:
        rule = f"is damaged: {channels} channels of {bits} bits in {stride} bytes"
        raise UserError(what, rule, "record or download it again")
    return _Layout(channels, rate, bits)


def _require_wanted(layout: _Layout, rate: int, mix_down: bool, what: str, convert: str) -> None:
    if layout.rate != rate:
        raise UserError(what, f"has {layout.rate} samples per second, not {rate}", convert)
    if layout.channels > 1 and not mix_down:
        raise UserError(what, f"has {layout.channels} channels, not one", f"ask for their mean (--mix-down), or {convert}")


def _samples(content: memoryview, layout: _Layout, what: str) -> np.ndarray:
    if len(content) == 0:
        raise UserError(what, "holds no samples", "record or download it again")
    if len(content) % (layout.channels * layout.bits // 8):
        raise UserError(what, f"is damaged: {len(content)} bytes are no whole number of samples", "record or download it again")
    values = _integers(content, layout.bits) / float(1 << (layout.bits - 1))
    return values if layout.channels == 1 else values.reshape(-1, layout.channels).mean(axis=1)


def _integers(content: memoryview, bits: int) -> np.ndarray:
    if bits == 8:  # the one width without a sign
        return np.frombuffer(content, np.uint8) - np.float64(128)
    if bits == 24:
        wide = np.zeros((len(content) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
        return wide.reshape(-1).view("<i4") >> 8
    return np.frombuffer(content, f"<i{bits // 8}")
