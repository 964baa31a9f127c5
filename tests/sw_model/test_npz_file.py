import tracemalloc
import zipfile
from io import BytesIO
from typing import Any

import numpy as np
import pytest

from sw_model.errors import UserError
from sw_model.npz_file import read_arrays

LIMIT = 1 << 20


def npz(**arrays: Any) -> bytes:
    file = BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def zipped(data: bytes, claimed: int | None = None) -> bytes:
    """A zip file of one NPY file, whose directory claims another size where one is given."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", data)
    packed = file.getvalue()
    return packed if claimed is None else packed.replace(len(data).to_bytes(4, "little"), claimed.to_bytes(4, "little"))


def npy(shape: tuple[int, ...], descr: str, data: bytes) -> bytes:
    file = BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + data


def read(data: bytes) -> dict[str, np.ndarray]:
    return read_arrays(data, "file a.npz", "make it again", LIMIT)


def test_arrays_come_back_in_either_order_and_sorted() -> None:
    rows = np.arange(6, dtype=np.int16).reshape(2, 3)
    found = read(npz(b=rows, a=np.asfortranarray(rows), names=np.array(["one", "two"]), scale=np.float32(0.5), big=rows.astype(">f8")))
    assert list(found) == ["a", "b", "big", "names", "scale"]
    assert all((found[name] == rows).all() for name in ("a", "b", "big"))
    assert found["names"].tolist() == ["one", "two"]
    assert found["scale"] == 0.5


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cannot be read"),
        (b"PK\x03\x04", "cannot be read"),
        (npz(a=np.arange(1000))[:-40], "cannot be read"),
        (npz(a=np.arange(1000))[:300], "cannot be read"),
        (npz(), "is empty"),
        (npz(a=np.array([{}], object)), "object is neither numbers nor text"),
        (npz(a=np.array([1j])), "complex128 is neither numbers nor text"),
        (npz(a=np.zeros((0, 3))), "are not float64 of shape"),
        (npz(a=np.zeros(1 << 18)), "exceeds 1,048,576 bytes unpacked"),
        (zipped(b"no array"), "cannot be read"),
        (zipped(npy((1 << 40, 1 << 20), "<f8", bytes(80))), "80 bytes are not float64 of shape"),
        (zipped(npy((-10, -1), "<f8", bytes(80))), "80 bytes are not float64 of shape"),
        (zipped(npy((10,), "<U1", b"\xff" * 40)), "cannot be read"),
        (zipped(b"\x93NUMPY\x02\x00" + bytes(20)), "is not .1, 0."),
        (zipped(b"\x93NUMPY\x01\x00\x10\x00((((((((((((((((" + bytes(20)), "cannot be read"),
    ],
)
def test_what_is_no_such_file_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(UserError, match=said) as raised:
        read(data)
    assert str(raised.value).startswith("file a.npz")
    assert len(str(raised.value)) < 400


def test_an_entry_that_claims_to_be_small_is_not_unpacked_further() -> None:
    bomb = zipped(npy((1 << 26,), "|u1", bytes(1 << 26)), claimed=1 << 16)
    assert len(bomb) < 100_000
    tracemalloc.start()
    with pytest.raises(UserError, match="cannot be read"):
        read(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
