"""Changes that no accident makes: what a hostile or careless writer puts into a file that was valid.

Every function draws from a `random.Random`, so that a seed, or hypothesis, fixes what it does.
"""

import copy
import json
import math
import random
import tomllib
from collections.abc import Callable
from io import BytesIO
from pathlib import PurePath
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import numpy as np

#: Values in place of any other.
HOSTILE: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 255, 1 << 16, (1 << 31) - 1, 1 << 63, 1 << 64, -(1 << 63), 10**400),
    *(0.5, -0.0, 1e308, 1e-320, math.nan, math.inf, -math.inf),
    *("", " ", "0", "1e999", "../../../escaped", "/etc/passwd", "a/../../b", ".", "..", "a\0b", "x" * 3000, "\ud800", "[/red]", "%n", "-x"),
    *([], {}, [[]], [None], {"": {}}, {"..": 1}, [0] * 300, [[0] * 3] * 3),
)
DEEP = 3000


def mutated(data: bytes, name: str, rng: random.Random) -> bytes:
    """Return another version of the file ``name``: changed by what it means where its form is known, or by its bytes."""
    change = _BY_SUFFIX.get(PurePath(name).suffix)
    if change is not None and rng.random() < 0.7:
        try:
            return change(data, rng)
        except (ValueError, RecursionError, KeyError, TypeError, IndexError, AttributeError, OverflowError, BadZipFile):
            pass  # no longer of that form, after other changes
    return mutated_bytes(data, rng)


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return ``data`` cut, flipped, doubled, or with something else in it."""
    place, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
    match rng.randrange(7):
        case 0:
            return data[:place]
        case 1:
            return data[:place] + data[end:]
        case 2:
            return data[:end] + data[place:end] * rng.choice((1, 2, 50)) + data[end:]
        case 3:
            return data[:place] + rng.choice((b"\xff\xfe", b"\0", b"\xc3\x28", b"../", b"[" * DEEP, b"9" * 5000, b"\n")) + data[place:]
        case 4:
            return data[:place] + bytes(rng.randrange(256) for _ in range(min(end - place, 16))) + data[end:]
        case 5:
            return data[:place] + rng.choice((b"-", b"1e999", b"NaN", b"0x", b"_", b"\xe2\x80\xa8")) + data[place + 1 :]
        case _:
            flipped = bytearray(data)
            for _ in range(rng.choice((1, 1, 4))):
                if flipped:
                    flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
            return bytes(flipped)


def mutated_tree(tree: Any, rng: random.Random) -> Any:
    """Return JSON values with one to three places changed: another value or type, a key too many or missing, an extra level."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        tree = _changed_once(tree, rng)
    return tree


def _changed_once(tree: Any, rng: random.Random) -> Any:
    found = places(tree)
    if not found:
        return rng.choice(HOSTILE)
    holder, key = rng.choice(found)
    match rng.randrange(6):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[rng.choice(("extra", "", "../x", "a\0b", str(key).upper()))] = rng.choice(HOSTILE)
        case 2:
            holder[key] = [copy.deepcopy(holder[key])]
        case 3 if isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
            holder[key] = rng.choice((-holder[key], holder[key] + 1, holder[key] * 1000, float(holder[key]), str(holder[key])))
        case 4:
            other, at = rng.choice(found)
            holder[key] = copy.deepcopy(other[at])
        case _:
            holder[key] = copy.deepcopy(rng.choice(HOSTILE))
    return tree


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Return every place below ``tree``: a list or table, and an index or key of it."""
    found: list[tuple[Any, Any]] = []
    level = [tree]
    while level:
        pairs = [(node, key) for node in level for key in (node if isinstance(node, dict) else range(len(node)))]
        found += pairs
        level = [node[key] for node, key in pairs if isinstance(node[key], dict | list)]
    return found


def _json(data: bytes, rng: random.Random) -> bytes:
    text = json.dumps(mutated_tree(json.loads(data), rng))
    if rng.random() < 0.1 and text.startswith("{"):
        text = '{"format": "other", ' + text[1:] + " " * rng.randrange(2)  # a key twice
    return text.encode()


def _toml(data: bytes, rng: random.Random) -> bytes:
    tree = mutated_tree(tomllib.loads(data.decode()), rng)
    if not isinstance(tree, dict):
        raise TypeError("a TOML file is a table")
    return toml(tree)


def toml(tree: dict[str, Any]) -> bytes:
    """Write a TOML file; where JSON says null it has a date, which no configuration wants."""
    return "".join(f"{json.dumps(key)} = {_toml_value(value)}\n" for key, value in tree.items()).encode()


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return "1979-05-27" if value is None else json.dumps(value)


def _safetensors(data: bytes, rng: random.Random) -> bytes:
    """Change the header and keep the data, or the other way round."""
    size = int.from_bytes(data[:8], "little")
    if rng.random() < 0.2:
        return data[: 8 + size] + mutated_bytes(data[8 + size :], rng)
    header = json.loads(data[8 : 8 + size])
    if rng.random() < 0.5:
        entry = header[rng.choice(list(header))]
        if rng.random() < 0.5:
            entry["dtype"] = rng.choice(
                ("BOOL", "U8", "I8", "F8_E4M3", "I16", "F16", "BF16", "I32", "F32", "F64", "I64", "U64", "C64", "F4")
            )
        else:
            shape = rng.choice(([0], [], [0, (1 << 64) - 1], [1 << 40, 1 << 40], [3, 0, 1 << 62], [1] * 70, [-1], entry["shape"][::-1]))
            entry["shape"] = shape
    else:
        header = mutated_tree(header, rng)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def _npz(data: bytes, rng: random.Random) -> bytes:
    """Change one of the arrays, its shape or its type, or have one too many or too few."""
    with ZipFile(BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(members))
    file = BytesIO(members[name])
    np.lib.format.read_magic(file)
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    values, header = file.read(), {"descr": dtype.str, "fortran_order": by_columns, "shape": shape}
    match rng.randrange(5):
        case 0:
            header["descr"] = rng.choice(
                ("|b1", "|u1", "<i2", ">i4", "<i8", "<u8", "<f2", "<f8", "<c8", "<U1", "<U0", "|V8", "|O", "<M8[s]")
            )
        case 1:
            header["shape"] = rng.choice(((), (0,), (-1,), shape[::-1], (*shape, 1), (1 << 40, 1 << 40), (len(values),), (True,)))
        case 2:
            values = bytes(rng.choice((0, 1, 127, 255)) for _ in values)
        case 3:
            values = mutated_bytes(values, rng)
        case _:
            members[rng.choice(("extra.npy", "labels.npy", "targets.npy", "../x.npy"))] = members.pop(name)
    if name in members:
        file = BytesIO()
        np.lib.format.write_array_header_1_0(file, header)
        members[name] = file.getvalue() + values
    file = BytesIO()
    with ZipFile(file, "w", rng.choice((ZIP_STORED, ZIP_DEFLATED))) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


_BY_SUFFIX: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".json": _json,
    ".toml": _toml,
    ".safetensors": _safetensors,
    ".npz": _npz,
}
