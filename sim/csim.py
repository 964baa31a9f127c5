"""C simulation: the generated HLS C++ in a shared library, called from Python.

The library runs in the caller's process, with all that a user may have changed in it; `sim.equivalence` gives it a process of its own.
"""

import _ctypes
import ctypes
import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hls_gen.hls_backend import CSIM_SOURCE, HLS_FOLDER, TOP_SOURCE
from hls_gen.input_words import event_words
from hls_gen.library import read_source
from hls_gen.rtl_backend import HARDWARE_FILE
from sim.build_cache import BenchError, cache_folder, kept
from sim.hls_headers import Headers, find_headers
from sw_model.errors import UserError

DEFAULT_COMPILER = "g++"
LANGUAGE = ("-std=c++17", "-pthread")  # the streams of a recent Vitis HLS have locks
#: A read of an empty stream ends the simulation, see rtl_templates/hls/lib/checked_stream.hpp.
CHECKED_STREAMS = "-DEGRU_CHECKED_STREAMS"
#: Generated sources give no warning, so that a user who changes them sees only what is new.
# AMD's default constructor reads the field that it is about to set, and its warning points at our line that declares the variable.
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wno-uninitialized", "-Wno-maybe-uninitialized")
# Without the last one the loader makes one of the statics, which are the state, of the same templates in two loaded models.
_LIBRARY = ("-O2", "-fPIC", "-shared", "-fno-gnu-unique")
#: What clang does not know and does not need.
_GCC_ONLY = frozenset({"-fno-gnu-unique", "-Wno-maybe-uninitialized"})
_NAME = "egru_csim"
#: Steps of one call, which needs room for an event of every neuron in each.
CHUNK = 1024
TOKEN_LIMIT = 1 << 16
_LAST = 1 << 16


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler.

    Attributes:
        command: The program and its first options.
        version: What it says of itself.
    """

    command: tuple[str, ...]
    version: str

    def line(self, headers: Headers, options: Iterable[str], files: Iterable[str]) -> list[str]:
        """Return a command line with the language's options, for sources or objects ``files``."""
        known = [option for option in (*LANGUAGE, *options) if "clang" not in self.version or option not in _GCC_ONLY]
        return [*self.command, *known, "-isystem", str(headers.folder), *files]


def find_compiler() -> Compiler:
    """Find the compiler: that of the environment variable CXX, else g++.

    Raises:
        UserError: When it is not there.
    """
    chosen = shlex.split(os.environ.get("CXX", "")) or [DEFAULT_COMPILER]
    if shutil.which(chosen[0]) is None:
        remedy = "leave CXX unset for g++" if chosen[0] != DEFAULT_COMPILER else "sudo apt-get install g++, or name another in CXX"
        raise UserError(f"C++ compiler {chosen[0]}", "is not found", remedy)
    said = subprocess.run([*chosen, "--version"], capture_output=True, text=True, check=False).stdout
    return Compiler(tuple(chosen), said)


def compiled_library(folder: Path, *, cache: Path | None = None) -> Path:
    """Return the shared library of a generated folder, compiled now unless it is kept; its log, with any warnings, lies beside it.

    Args:
        folder: A folder that the HLS backend wrote.
        cache: Where builds are kept; by default `sim.build_cache.cache_folder`.

    Raises:
        UserError: When there is no compiler, or no headers.
        BenchError: When the sources do not compile.
    """
    sources = Path(folder) / HLS_FOLDER
    headers, compiler = find_headers(), find_compiler()
    texts = {path.relative_to(sources).as_posix(): read_source(path) for path in sorted(sources.rglob("*.?pp"))}
    options = (CHECKED_STREAMS, *WARNINGS, *_LIBRARY)

    def make(build: Path, log: Path) -> None:
        for name, text in texts.items():
            (build / name).parent.mkdir(parents=True, exist_ok=True)
            (build / name).write_text(text)
        # Relative names and this map: the library is the same wherever it is made. Both sources at once: reading the headers takes long.
        places = f"-ffile-prefix-map={headers.folder}=headers"
        command = compiler.line(headers, (*options, places), ("-o", f"{_NAME}.so", "-include", TOP_SOURCE, CSIM_SOURCE))
        with log.open("w") as output:
            done = subprocess.run(command, cwd=build, stdout=output, stderr=output, check=False)
        if done.returncode:
            raise RuntimeError(f"{compiler.command[0]} ended with status {done.returncode}")

    inputs = [texts, compiler.command, compiler.version, LANGUAGE, options, headers.digest()]
    return kept(_NAME, inputs, make, cache=cache or cache_folder()) / f"{_NAME}.so"


@dataclass(frozen=True)
class Beats:
    """What left the streams of the core in some steps.

    Attributes:
        logits: int32, shape (steps, classes).
        ends: bool, shape (steps,): TLAST of the last logit.
        words: uint32, shape (events,): {index, value} of 16 bits each, step by step and in it layer by layer.
        counts: int64, shape (steps, layers): how many of them each has.
    """

    logits: np.ndarray
    ends: np.ndarray
    words: np.ndarray
    counts: np.ndarray

    def events(self) -> Iterator[list[list[tuple[int, int]]]]:
        """Yield, for each step, the (index, value) of each layer's events in the order in which they came."""
        index, value = (self.words >> 16).tolist(), (self.words & 0xFFFF).tolist()
        ends = np.cumsum(self.counts.ravel()).reshape(self.counts.shape).tolist()
        start = 0
        for step in ends:
            layers = []
            for end in step:
                layers.append(list(zip(index[start:end], value[start:end], strict=True)))
                start = end
            yield layers


class CompiledCore:
    """The core as it is: streams, physical indices, no model. A private copy of the library is loaded, so that its state is its own.

    Attributes:
        value_bits: Low bits of a word that are 0 where it ends a step, see docs/host_link.md; none where every word is a token.
        token_errors: Wrong words so far: tokens out of range, of which the core took each as token 0, or words that break the rules of a
            feature stream.
        model_hash: The last 64 bits of the artifact's hash, as the core states them; 0 before the first step.
        seconds: Wall-clock time spent in the core.
    """

    def __init__(self, library: Path, layers: int, slots: int, classes: int, value_bits: int = 0) -> None:
        """Load the core.

        Args:
            library: What `compiled_library` returned.
            layers: Number of layers.
            slots: Physical indices of all layers together: the most events of a step.
            classes: Logits of a step.
            value_bits: That attribute.
        """
        self.value_bits = value_bits
        self._layers, self._slots, self._classes = layers, slots, classes
        self.token_errors, self.model_hash, self.seconds = 0, 0, 0.0
        self._fault = ""
        # Beside the library, where programs may be executed. The loader knows a file by its inode, so a link would not do.
        with tempfile.NamedTemporaryFile(dir=library.parent, prefix="loaded-", suffix=".so") as copy:
            copy.write(library.read_bytes())
            copy.flush()
            loaded = ctypes.CDLL(copy.name)
        weakref.finalize(self, _ctypes.dlclose, loaded._handle)
        self._run = loaded.egru_run
        self._run.restype = ctypes.c_char_p

    def run(self, words: np.ndarray, last: np.ndarray) -> Beats:
        """Advance by some whole steps.

        Args:
            words: int, shape (words,), each of 16 bits.
            last: bool, the same shape: TLAST.

        Raises:
            BenchError: When a stream did not hold what it should, now or before.
        """
        if self._fault:
            raise BenchError(f"the core failed before: {self._fault}; load it again")
        beats = np.ascontiguousarray(words, np.uint32) | np.where(last, np.uint32(_LAST), np.uint32(0))
        steps = int(np.count_nonzero(beats & np.uint32((1 << self.value_bits) - 1) == 0))
        logits = np.zeros((steps, self._classes), np.int32)
        ends = np.zeros(steps, np.uint8)
        events = np.zeros(steps * self._slots, np.uint32)
        counts = np.zeros((steps, self._layers), np.uint32)
        done, errors, model_hash = ctypes.c_size_t(), ctypes.c_uint32(self.token_errors), ctypes.c_uint64(self.model_hash)
        started = time.perf_counter()
        said = self._run(
            _pointer(beats),
            ctypes.c_size_t(len(beats)),
            ctypes.c_size_t(steps),
            _pointer(logits),
            _pointer(ends),
            _pointer(events),
            ctypes.c_size_t(len(events)),
            _pointer(counts),
            ctypes.byref(done),
            ctypes.byref(errors),
            ctypes.byref(model_hash),
        )
        self.seconds += time.perf_counter() - started
        if said is not None:
            self._fault = f"step {done.value} of {steps}: {said.decode()}"
            raise BenchError(self._fault)
        self.token_errors, self.model_hash = errors.value, model_hash.value
        return Beats(logits, ends.astype(bool), events[: int(counts.sum())], counts.astype(np.int64))

    def run_steps(self, inputs: Sequence[Any] | np.ndarray, *, ends: bool) -> Iterator[Beats]:
        """Advance in parts of at most `CHUNK` steps; see `run`.

        Args:
            inputs: Tokens, int, shape (steps,), or input events, int, shape (steps, channels).
            ends: Whether a sequence ends with the last one.
        """
        for start in range(0, len(inputs), CHUNK):
            part = np.asarray(inputs[start : start + CHUNK], np.int64)
            words = event_words(part, self.value_bits) if self.value_bits else part
            last = np.zeros(len(words), bool)
            last[-1] = ends and start + CHUNK >= len(inputs)
            yield self.run(words, last)

    def run_sequences(self, sequences: Iterable[Sequence[Any] | np.ndarray]) -> Iterator[Beats]:
        """Stream whole sequences, one after the other; see `run_steps`."""
        for sequence in sequences:
            yield from self.run_steps(sequence, ends=True)


def load_core(library: Path, hardware: dict[str, Any]) -> CompiledCore:
    """Load the core of a generated folder, whose ``hardware.json`` is ``hardware``."""
    engines = [block for block in hardware["blocks"] if block["layers"]]
    slots = sum(block["lanes"] * block["rows"] for block in engines)
    value_bits = hardware["formats"]["event_bits"] if hardware.get("channels") else 0
    return CompiledCore(library, len(engines), slots, hardware["classes"], value_bits)


@dataclass(frozen=True)
class Prediction:
    """What a model answered, step by step, sequence after sequence.

    Attributes:
        logits: int32, shape (steps, classes), at the decoder's fraction bits.
        events: Per layer the event values, int32, shape (steps, neurons) in the order of the model's neurons; 0 where there is none.
        fired: Per layer bool, the same shape: an event's value may round to 0.
    """

    logits: np.ndarray
    events: tuple[np.ndarray, ...]
    fired: tuple[np.ndarray, ...]


class CompiledModel:
    """A generated HLS folder as a model that predicts, for notebooks; what it computes is what the hardware computes.

    Each one has a state of its own. Code of the folder runs in this process.
    """

    def __init__(self, folder: Path | str, *, cache: Path | None = None) -> None:
        """Compile a folder that ``egru generate --backend hls`` wrote, unless that has been done, and load it.

        Args:
            folder: The folder.
            cache: Where builds are kept; by default `sim.build_cache.cache_folder`.

        Raises:
            UserError: When it is no such folder, or compiler or headers are missing.
            BenchError: When it does not compile.
        """
        folder = Path(folder)
        if not (folder / HLS_FOLDER / CSIM_SOURCE).is_file() or not (folder / HARDWARE_FILE).is_file():
            raise UserError(
                f"folder {folder}", f"holds no {HLS_FOLDER}/{CSIM_SOURCE}", "give a folder that egru generate --backend hls wrote"
            )
        hardware = json.loads((folder / HARDWARE_FILE).read_bytes())
        self._core = load_core(compiled_library(folder, cache=cache), hardware)
        self._classes: int = hardware["classes"]
        self._channels: int = hardware.get("channels", 0)
        self._places = [np.array(block["physical_index"][0], np.int64) for block in hardware["blocks"] if block["layers"]]
        self._slots = [block["lanes"] * block["rows"] for block in hardware["blocks"] if block["layers"]]
        self._unfinished = False

    @property
    def token_errors(self) -> int:
        """Tokens that were not in the model's range, since it was loaded; like the hardware it took each as token 0."""
        return self._core.token_errors

    def predict(self, inputs: Sequence[Any] | np.ndarray) -> Prediction:
        """Predict.

        Args:
            inputs: Either the next steps of the sequence under way, or whole sequences, none empty, of which each starts at zero state. A
                step is a token, or for a model of features the input events of all channels, int, shape (channels,), as
                `sw_model.input_encoding` makes them.

        Raises:
            UserError: When tokens are not integers of 16 bits, input events none of this model, or a sequence is empty.
            BenchError: When the code does not do what generated code does, because somebody has changed it.
        """
        flat = len(inputs) == 0 or np.ndim(inputs[0]) == (1 if self._channels else 0)
        sequences = [self._checked(sequence) for sequence in ([inputs] if flat else inputs)]
        if flat:
            self._unfinished |= bool(len(sequences[0]))
            return self._collect(list(self._core.run_steps(sequences[0], ends=False)))
        if not all(len(sequence) for sequence in sequences):
            raise UserError(f"a sequence of 0 {'frames' if self._channels else 'tokens'}", "has no end to mark", "leave it out")
        self.reset()
        return self._collect(list(self._core.run_sequences(sequences)))

    def reset(self) -> None:
        """Start a new sequence: every state is zero again. The count of token errors goes on."""
        if self._unfinished:
            # Only the end of a sequence clears the state; what is answered to the token, or the step without events, is of no interest.
            self._core.run(np.zeros(1, np.int64), np.ones(1, bool))
            self._unfinished = False

    def _checked(self, sequence: Any) -> np.ndarray:
        return _as_events(sequence, self._channels, (1 << self._core.value_bits) - 1) if self._channels else _as_tokens(sequence)

    def _collect(self, parts: list[Beats]) -> Prediction:
        steps = sum(len(part.logits) for part in parts)
        logits = np.concatenate([np.zeros((0, self._classes), np.int32), *(part.logits for part in parts)])
        values = [np.full((steps, slots), -1, np.int32) for slots in self._slots]
        start = 0
        for part in parts:
            step, layer = np.divmod(np.repeat(np.arange(part.counts.size), part.counts.ravel()), part.counts.shape[1])
            for number, value in enumerate(values):
                mine = part.words[layer == number]
                index = mine >> 16
                if np.any(index >= value.shape[1]):
                    raise BenchError(f"layer {number} sent an event of index {index.max()}, but has only {value.shape[1]}")
                value[start + step[layer == number], index] = mine & 0xFFFF
            start += len(part.logits)
        logical = [value[:, places] for value, places in zip(values, self._places, strict=True)]
        sent = sum(int(part.counts.sum()) for part in parts)
        if sum(int(np.count_nonzero(value >= 0)) for value in logical) != sent:
            raise BenchError("a neuron sent two events in a step, or a row without a neuron sent one")
        return Prediction(logits, tuple(np.maximum(value, 0) for value in logical), tuple(value >= 0 for value in logical))


def _as_tokens(sequence: Any) -> np.ndarray:
    tokens = np.asarray(sequence)
    remedy = f"give integers from 0 to {TOKEN_LIMIT - 1}"
    if tokens.size == 0:
        return np.zeros(0, np.int64)
    if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
        raise UserError(f"tokens of type {tokens.dtype} and shape {tokens.shape}", "are not a sequence of integers", remedy)
    strange = tokens[(tokens < 0) | (tokens >= TOKEN_LIMIT)]
    if strange.size:
        raise UserError(f"token {strange[0]}", "does not fit the 16 bits of the token stream", remedy)
    return tokens.astype(np.int64)


def _as_events(sequence: Any, channels: int, largest: int) -> np.ndarray:
    events = np.asarray(sequence)
    remedy = f"give integers from 0 to {largest}, {channels} a step, as the model's encoding makes them"
    if events.size == 0 and len(events) == 0:
        return np.zeros((0, channels), np.int64)
    if events.shape[1:] != (channels,) or events.dtype.kind not in "iu":
        raise UserError(f"input events of type {events.dtype} and shape {events.shape}", f"are not integers of {channels} channels", remedy)
    strange = events[(events < 0) | (events > largest)]
    if strange.size:
        raise UserError(f"input event {strange[0]}", f"leaves 0 to {largest}", remedy)
    return events.astype(np.int64)


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)
