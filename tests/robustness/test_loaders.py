"""Whatever stands in a file: its loader (`benchmarks.loaders`) reads it or raises `UserError`, soon and in little memory."""

import json
import lzma
import random
import re
import resource
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.hostile_files import mutated
from benchmarks.loaders import FOLDER, LOADERS, SPEC, Loader, make_device
from egru.host import LinkError, Patience
from egru.host.serial_transport import SerialTransport
from egru.running import _load
from sw_model import datasets
from sw_model.errors import UserError
from sw_model.random_model import random_model

BY_NAME = {loader.name: loader for loader in LOADERS}
INPUTS = Path(__file__).parent / "inputs"
#: Each takes some hundredths of a second, others a thousandth.
SLOW = ("checkpoint", "unfinished", "hardware description", "memory image", "HLS source", "build", "swap", "serial")
#: Far above what any of them takes, and far below a hang.
SECONDS = 20.0


@cache
def files_of(make: Callable[[Path], None]) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / FOLDER
        folder.mkdir()
        make(folder)
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Given:
    """A folder for a loader, with any content of its file."""

    def __init__(self, loader: Loader, root: Path) -> None:
        self.loader, self.folder = loader, root / FOLDER
        self.files = files_of(loader.make)
        self.valid = self.files[loader.file]

    def write(self, data: bytes) -> None:
        for name, content in (self.files | {self.loader.file: data}).items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file() or path.read_bytes() != content:
                path.write_bytes(content)
        self.loader.seal(self.folder)

    def read(self, data: bytes) -> str:
        """Return what is said of a file; nothing if it is read."""
        self.write(data)
        started = time.monotonic()
        try:
            self.loader.read(self.folder)
        except UserError as error:
            return str(error)
        finally:
            assert time.monotonic() - started < SECONDS
        return ""


@contextmanager
def address_space(extra: int) -> Iterator[None]:
    """Let this process take at most ``extra`` bytes more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + extra, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("name", BY_NAME)
def test_any_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    given_folder = Given(BY_NAME[name], tmp_path)
    assert given_folder.read(given_folder.valid) == ""
    refused = 0

    @settings(
        max_examples=4 if name.startswith(SLOW) else 15,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 1 << 32))
    def spoil(seed: int) -> None:
        nonlocal refused
        refused += bool(given_folder.read(mutated(given_folder.valid, given_folder.loader.file, random.Random(seed))))

    with address_space(4 << 30):
        spoil()
    assert refused or name == "HLS source"  # almost any text is one


@pytest.mark.parametrize("path", sorted(INPUTS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_the_fuzzer_once_found_is_read_or_refused(path: Path, tmp_path: Path) -> None:
    given_folder = Given(BY_NAME[path.parent.name.replace("_", " ")], tmp_path)
    with address_space(2 << 30):
        given_folder.read(path.read_bytes())


def _changed(name: str, **values: Any) -> tuple[str, bytes]:
    loader = BY_NAME[name]
    return name, json.dumps(json.loads(files_of(loader.make)[loader.file]) | values).encode()


def _tensors(name: str, tensor: str, **values: Any) -> tuple[str, bytes]:
    data = files_of(BY_NAME[name].make)["tensors.safetensors"]
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header[tensor] |= values
    text = json.dumps(header).encode()
    return name, len(text).to_bytes(8, "little") + text + data[8 + size :]


DEEP = b"[" * 3000
EXPONENTS: dict[str, int] = {"embedding": 1, "input": 1, "decoder": 1} | {f"layers.{index}": 1 for index in range(64)}
CASES: dict[str, tuple[Callable[[], tuple[str, bytes]], str]] = {
    "deep TOML": (lambda: ("configuration", b"a = " + DEEP), "is not valid TOML"),
    "deep but legal TOML": (lambda: ("configuration", b"a = " + b"[" * 90 + b"]" * 90), "is nested deeper than 64"),
    "a number of 5000 digits": (lambda: ("configuration", b"[dense]\nsteps = " + b"9" * 5000), "is not valid TOML"),
    "a hexadecimal number of 5000 digits": (lambda: ("configuration", b"[dense]\nsteps = 0x" + b"f" * 5000), "a number that is too long"),
    "a key of 8000 parts": (lambda: ("configuration", b".".join([b"a"] * 9000) + b" = 1"), "exceeds the limit of 16384 bytes"),
    "a rate that is no number": (lambda: ("configuration", b"[dense]\nsteps = 1\nlearning_rate = nan"), "should be a finite number"),
    "an infinite clock": (lambda: ("configuration", b"[build]\nclock_mhz = inf"), "should be a finite number"),
    "deep JSON": (lambda: ("model manifest", b'{"metadata": ' + DEEP), "is not valid JSON"),
    "JSON that could not be written again": (
        lambda: _changed("model manifest", metadata={"a": json.loads("[" * 200 + "]" * 200)}),
        "deeper",
    ),
    "infinite lanes": (lambda: _changed("hardware description", blocks=[{"lanes": float("inf")}]), "is truncated or altered"),
    "hardware without a configuration": (lambda: _changed("hardware description", config=[]), "is truncated or altered"),
    "an infinite seed": (lambda: _changed("build result", seed=float("inf")), "is damaged"),
    "columns that are deep": (lambda: ("swap columns", DEEP), "cannot be read"),
    "columns of other images": (lambda: _changed("swap columns", files=[["x.mem", 1, 1]], columns=[]), "names other memories than"),
    "columns in blocks that are not there": (lambda: ("swap routing", b".comment\n"), "is not in this bitstream"),
    "a block that is no number": (lambda: _replaced("swap routing", b"0" * 64, b"-" + b"f" * 63), "words of 256 bits"),
    "a negative word in an image": (lambda: _replaced("memory image", b"\n", b"\n-1\n"), "is not what hardware.json says"),
    "memories of gigabits": (
        lambda: _changed("swap hardware", memories=[{"name": "a", "bits": 4096, "depth": 1 << 20}]),
        "memories of 4294967296 bits in hardware.json exceed 16777216",
    ),
    "a shape beyond any integer": (lambda: _tensors("model tensors", "decoder.bias", shape=[0, (1 << 64) - 1]), "tensor"),
    "a tensor of 70 dimensions": (
        lambda: _tensors("unfinished training tensors", "stepper.optimizer.decoder_bias/step", shape=[1] * 70),
        "70 dimensions",
    ),
    "a terabyte of weights": (
        lambda: _changed(
            "checkpoint manifest", network={"hidden_sizes": [8192] * 64, "embedding_size": 4096, "tokens": 4}, exponents=EXPONENTS
        ),
        "disagrees with the expected|is missing from the checkpoint",
    ),
    "a terabyte of weights of features": (
        lambda: _changed(
            "feature checkpoint manifest",
            network={"hidden_sizes": [8192] * 64, "channels": 4, "classes": 2},
            exponents={name: 1 for name in EXPONENTS if name not in ("embedding", "input")},
        ),
        "disagrees with the expected|is missing from the checkpoint",
    ),
    "an unfinished training without its history": (lambda: _training(history=None), "is altered"),
    "an unfinished training of another step": (lambda: _changed("unfinished training manifest", step=99), "is altered"),
    "an optimiser of another network": (
        lambda: _tensors("unfinished training tensors", "stepper.optimizer.decoder_bias/exp_avg", shape=[2, 2]),
        "the optimiser's moments of decoder_bias",
    ),
    "braces that nest": (lambda: ("HLS source", b"struct a{" * 2000 + b"}" * 2000), "are nested too deep"),
    "comparisons that may be templates": (lambda: ("HLS source", b"void g(){" + b"a<" * 1500 + b"}"), ""),
    "frames of terabytes": (lambda: ("frames of features", _archive(features=((1 << 40, 2), "<f4"))), "are not float32 of shape"),
    "frames of nothing": (lambda: ("frames of features", _archive(features=((0, 2), "<f4"))), "are not float32 of shape"),
    "frames of objects": (lambda: ("frames of features", _archive(lengths=((1,), "|O"))), "object is neither numbers nor text"),
    "a header of a billion dimensions": (
        lambda: _replaced("time series", b"@dimensions 2", b"@dimensions 1000000000"),
        "the header says @dimensions 1000000000",
    ),
    "lone surrogates": (lambda: _changed("pretrained figures", where="\ud800"), "pretrained|figures.json"),
}


def _archive(**headers: tuple[tuple[int, ...], str]) -> bytes:
    """Return an NPZ file of headers with nothing behind them."""
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        for name, (shape, descr) in headers.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array_header_1_0(member, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


def _replaced(name: str, old: bytes, new: bytes) -> tuple[str, bytes]:
    data = files_of(BY_NAME[name].make)[BY_NAME[name].file]
    assert old in data
    return name, data.replace(old, new, 1)


def _training(**values: Any) -> tuple[str, bytes]:
    name = "unfinished training manifest"
    training = json.loads(files_of(BY_NAME[name].make)["manifest.json"])["training"]
    return _changed(name, training=training | values)


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_file_is_refused_in_little_memory(case: str, tmp_path: Path) -> None:
    build, said = CASES[case]
    name, data = build()
    given_folder = Given(BY_NAME[name], tmp_path)
    given_folder.read(given_folder.valid)
    with address_space(2 << 30):
        found = given_folder.read(data)
    assert re.search(said, found), found
    assert len(found) < 1000


def test_an_xz_file_that_unpacks_to_much_takes_no_more_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "MAX_TEXT_BYTES", 1 << 20)
    path = tmp_path / "text.xz"
    path.write_bytes(lzma.compress(bytes(24 << 20), preset=0))
    assert path.stat().st_size < 20_000
    tracemalloc.start()
    with pytest.raises(UserError, match="unpacks to more than 1048576 bytes"):
        datasets.load_text(path)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_a_text_takes_some_thirty_bytes_a_symbol(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("event gate " * 5_000)
    tracemalloc.start()
    datasets.load_text(path)
    assert tracemalloc.get_traced_memory()[1] < 32 * path.stat().st_size
    tracemalloc.stop()


# The serial link


def test_a_device_that_names_a_model_of_another_size_is_refused() -> None:
    model = random_model(SPEC)
    device: Any = SimpleNamespace(name="port", info=SimpleNamespace(tokens=model.tokens, classes=model.classes + 1))
    with pytest.raises(LinkError, match="has 4 tokens and 5 classes, and names a model that has 4 and 4"):
        _load(device, [], model)
    device.info.classes = model.classes
    _load(device, [], model)


class Babble:
    """A device that never stops."""

    name = "babble"

    def __init__(self, data: bytes) -> None:
        self.data, self.closed = data, False

    def write(self, data: bytes) -> None:
        pass

    def read(self) -> bytes:
        return self.data

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("data", [b"\x5e", b"\x00" * 100, b"\x5e\x10abc", bytes.fromhex("5e100000") + b"\0" * 4])
def test_a_device_that_never_stops_is_given_up(data: bytes) -> None:
    line = Babble(data)
    with pytest.raises(LinkError, match="gave no good reply to HELLO"):
        SerialTransport(line, 1e9, Patience(slack_seconds=0.01, attempts=2, greeting_attempts=2))
    assert line.closed


def _device(place: int, value: bytes, tmp_path: Path) -> None:
    make_device(tmp_path)
    data = (tmp_path / "device.bin").read_bytes()
    (tmp_path / "device.bin").write_bytes(data[:place] + value + data[place + len(value) :])
    BY_NAME["serial link"].read(tmp_path)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (2, b"\x00", "takes 0 tokens in a request"),
        (2, b"\xff", "takes 255 tokens in a request"),
        (52, b"\xff\xff\xff\xff", "has 4294967295 blocks"),
        (62, b"\0\0\0\0", "has 0 tokens"),
        (66, b"\xff\xff\xff\xff", "has 4294967295 classes"),
        (76, b"\xff\xff", "answered class 65535, and says that it has 4"),
    ],
)
def test_what_a_device_says_of_itself_is_checked(place: int, value: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(LinkError, match=said):
        _device(place, value, tmp_path)
