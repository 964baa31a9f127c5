"""NPZ files that a user gives: nothing is unpickled, and no memory is taken for what a header only claims."""

import math
import struct
import sys
import zlib
from io import BytesIO
from lzma import LZMAError
from tokenize import TokenError
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np

from sw_model.errors import UserError

#: Kinds of numpy's types that are numbers or text, and nothing that could hold an object.
PLAIN_KINDS = "biufU"
UNPACK_BYTES = 1 << 20
_DAMAGE = (
    *(ValueError, TypeError, KeyError, SyntaxError, OverflowError, RecursionError, EOFError, OSError, RuntimeError, NotImplementedError),
    *(BadZipFile, LZMAError, struct.error, TokenError, zlib.error),
)


def read_arrays(data: bytes, what: str, remedy: str, limit: int) -> dict[str, np.ndarray]:
    """Return the arrays of an NPZ file by name, sorted.

    Args:
        data: The file.
        what: What it is called in messages.
        remedy: What to do when it will not do.
        limit: Most bytes of all arrays, unpacked.

    Raises:
        UserError: When it is no such file, is cut, empty or too large, or holds anything but numbers, truth values and text.
    """
    try:
        with ZipFile(BytesIO(data)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > limit:
                raise UserError(what, f"exceeds {limit:,} bytes unpacked", remedy)
            found = {entry.filename.removesuffix(".npy"): _array(_unpack(archive, entry)) for entry in entries}
    except _DAMAGE as error:
        raise UserError(what, f"cannot be read ({str(error)[:200]})", remedy) from None
    if not found:
        raise UserError(what, "is empty", remedy)
    return dict(sorted(found.items()))


def _unpack(archive: ZipFile, entry: ZipInfo) -> bytearray:
    """Unpack in parts: in one, zipfile would unpack up to 2 GiB, and cut them to the size that the entry claims only then."""
    data = bytearray()
    with archive.open(entry) as file:
        while part := file.read(UNPACK_BYTES):
            data += part
    return data


def _array(data: bytearray) -> np.ndarray:
    """Return the array of an NPY file; a ValueError where it is not as large as it says."""
    file = BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"NPY version {version} is not (1, 0)")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in PLAIN_KINDS:
        raise ValueError(f"{dtype} is neither numbers nor text")
    place = file.tell()
    if min(shape, default=1) < 1 or math.prod(shape) * dtype.itemsize != len(data) - place:
        raise ValueError(f"{len(data) - place} bytes are not {dtype} of shape {shape}")
    values: np.ndarray = np.frombuffer(data, dtype, offset=place).reshape(shape, order="F" if by_columns else "C")
    # What no text can hold ends in a SystemError where it is made one.
    if dtype.kind == "U" and np.frombuffer(data, np.dtype(np.uint32).newbyteorder(dtype.byteorder), offset=place).max() > sys.maxunicode:
        raise ValueError("text holds what is no sign of Unicode")
    return values
