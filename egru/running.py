"""Running a model on a device: what it is sent, what comes back, and whether that is what the reference answers."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from egru.artifacts import choose_tokens, read_generated, text_info
from egru.host import Accelerator, Answer, Counters, LinkError, LinkStatistics
from egru.host.line import Damage, Line, NoisyLine, SerialLine
from egru.host.serial_transport import SIMULATION_PATIENCE, SerialTransport
from egru.output import CheckFailedError, working
from egru.tools import require_tools
from hls_gen.backend import Backend
from hls_gen.board import UartLink, load_board, render_top
from hls_gen.manifest import MANIFEST_FILE, read_manifest
from hls_gen.rtl_backend import HARDWARE_FILE
from hls_gen.weight_image import RegisterWrite, load_writes, read_config
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel
from sw_model.reference import EventDrivenStream, WorkCounts

SIMULATED = "sim"
WRAPPED = "not known: the counters may have wrapped; generate with a larger counter_bits"
NARROWEST_COUNTER = 16
"""Bits, see `hls_gen.hardware_config.HardwareConfig.counter_bits`."""


@dataclass(frozen=True)
class Target:
    """Where a model runs.

    Attributes:
        port: A serial port, or `SIMULATED`.
        board: The board; it gives the baud rate, and what is simulated.
        baud: Of the line; None for the board's own.
        noise: Share of bytes that is spoilt in both directions; simulated boards only.
        seed: Of noise and of the simulation's random initial state.
    """

    port: str
    board: str
    baud: int | None = None
    noise: float = 0.0
    seed: int = 1


@dataclass
class Connection:
    """An open device.

    Attributes:
        accelerator: The device.
        description: What it is, for people.
        noise: What a noisy line has done so far, both directions; None without noise.
        simulation: What the simulated board did, filled in when it has ended.
        counter_bits: Of the hardware counters; None where only the model is known.
        clock_mhz: Of the core.
    """

    accelerator: Accelerator
    description: str
    noise: dict[str, Damage] | None = None
    simulation: dict[str, float] = field(default_factory=dict)
    counter_bits: int | None = None
    clock_mhz: float = 0.0

    def counters_hold(self, seconds: float) -> bool:
        """Say whether cycles and events of a run fit their counters for certain; ask when a simulation has ended.

        Args:
            seconds: Wall-clock time of the run. A board counts at most its clock's cycles in it, and one event of a block in each.
        """
        cycles = self.simulation["cycles"] if self.simulation else seconds * self.clock_mhz * 1e6
        return self.counter_bits is None or cycles < 1 << self.counter_bits


@dataclass(frozen=True)
class Stimulus:
    """What a device is shown.

    Attributes:
        tokens: In their order; the last one ends the sequence.
        description: What they are.
        vocabulary: The symbol of each token; numbers where the model has none.
        separator: What stands between symbols in a text.
        is_text: Whether the tokens are a text of the model's, which its answers foretell.
        remark: What the user should know of the choice; may be empty.
    """

    tokens: list[int]
    description: str
    vocabulary: tuple[str, ...]
    separator: str
    is_text: bool
    remark: str = ""


@dataclass(frozen=True)
class Progress:
    """A run so far.

    Attributes:
        tokens: Tokens answered, and those that are still to come where they are known.
        answers: One per token answered.
        total: Tokens in all.
        seconds: Since the first was sent.
        counters: Hardware counters as last read.
        counted_seconds: ``seconds`` at that time.
        link: The link's statistics.
    """

    tokens: Sequence[int]
    answers: Sequence[Answer]
    total: int
    seconds: float
    counters: Counters | None
    counted_seconds: float
    link: LinkStatistics


@dataclass(frozen=True)
class RunResult:
    """What a run came to.

    Attributes:
        device: What answered.
        stimulus: What it was shown.
        tokens: Tokens sent.
        answers: One per token.
        seconds: Wall-clock time from the first token to the last answer.
        predicted: Answers that were the next token of the text; None where there is no text.
        counters: Hardware counters of exactly this run.
        link: What happened on the link.
        compared: Answers, logits and counters that were compared with the reference and found equal; 0 without a check.
        mismatch: The first difference to the reference; empty when there is none.
        counters_hold: Whether cycles and events are known; else their counters may have wrapped.
    """

    device: str
    stimulus: str
    tokens: Sequence[int]
    answers: Sequence[Answer]
    seconds: float
    predicted: int | None
    counters: Counters
    link: LinkStatistics
    compared: int = 0
    mismatch: str = ""
    counters_hold: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values; cycles and events are None where their counters may have wrapped."""
        steps = len(self.answers)
        events, cycles = (self.counters.events, self.counters.cycles) if self.counters_hold else (None, None)
        return {
            "device": self.device,
            "stimulus": self.stimulus,
            "tokens": steps,
            "seconds": self.seconds,
            "tokens_per_second": steps / self.seconds,
            "predicted": self.predicted,
            "events": events,
            "events_per_second": None if events is None else events / self.seconds,
            "cycles": cycles,
            "cycles_per_step": None if cycles is None else cycles / steps,
            "counters": self.counters.to_json(),
            "link": asdict(self.link),
            "compared": self.compared,
            "mismatch": self.mismatch,
            "answers": [list(answer) for answer in self.answers],
        }


def load_runnable(folder: Path) -> QuantizedModel:
    """Return the model in ``folder``, a generated folder or an exported model.

    Raises:
        UserError: When it is neither.
    """
    return read_generated(folder).model if (Path(folder) / HARDWARE_FILE).is_file() else QuantizedModel.load(folder)


def held_out(model: QuantizedModel, tokens: int, data: str | None, seed: int) -> Stimulus:
    """Choose what to stream: held-out text, or random tokens for a model that knows none.

    Raises:
        UserError: When the text cannot be read, is not the model's, or has fewer tokens.
    """
    found, description, remark = choose_tokens(model, tokens, seed, data)
    if tokens > len(found):
        raise UserError(f"tokens={tokens}", f"exceeds the {len(found)} held-out symbols", f"use at most {len(found)}, or a longer text")
    is_text = text_info(model) is not None and not remark
    return Stimulus(found[:tokens].tolist(), description, *_symbols(model), is_text, remark)


def prompt_tokens(model: QuantizedModel, prompt: str) -> Stimulus:
    """Return the tokens of a text that the user typed.

    Raises:
        UserError: When the model knows no text, the prompt is empty, or has a symbol that the model does not know.
    """
    info = text_info(model)
    if info is None:
        raise UserError("--generate", "needs a model that knows a vocabulary", "leave it out: tokens are then random")
    symbols = list(prompt) if info.unit == "characters" else prompt.split()
    place = {symbol: token for token, symbol in enumerate(info.vocabulary)}
    unknown = [symbol for symbol in symbols if symbol not in place]
    if unknown or not symbols:
        what = f"holds {unknown[0]!r}, which is not in the vocabulary of {info.name}" if unknown else "is empty"
        raise UserError(f"prompt {prompt!r}", what, f"use {info.unit} of that text, e.g. {' '.join(info.vocabulary[:20])!r}")
    return Stimulus([place[symbol] for symbol in symbols], f"prompt of {len(symbols)} {info.unit}", *_symbols(model), is_text=True)


def _symbols(model: QuantizedModel) -> tuple[tuple[str, ...], str]:
    info = text_info(model)
    if info is None:
        return tuple(map(str, range(max(model.tokens, model.classes)))), " "
    return info.vocabulary, "" if info.unit == "characters" else " "


@contextmanager
def connected(folder: Path, model: QuantizedModel, target: Target, *, load: bool = False) -> Iterator[Connection]:
    """Open the device that holds ``model`` for the time of a ``with``; simulate it first if that is asked for.

    Args:
        folder: A generated folder; for a port also an exported model, unless ``load``.
        model: The model that answers.
        target: Where it runs.
        load: Write ``model`` into the device first; else the device must hold it, or be one that starts without weights.

    Raises:
        UserError: When a setting does not fit the port, or a tool that the simulation needs is missing.
        LinkError: When the device does not answer as it should.
        CheckFailedError: When the board cannot be simulated.
    """
    if not 0.0 <= target.noise < 1.0:
        raise UserError(f"noise={target.noise:g}", "is not a share", "use 0 or more and less than 1, e.g. 0.002")
    hardware = _hardware(folder) if load or (folder / HARDWARE_FILE).is_file() else {}
    config = read_config(hardware) if hardware else None
    starts_empty, counter_bits = (False, None) if config is None else (config.starts_empty, config.counter_bits)
    writes = load_writes(model, hardware) if load else []
    wanted, event_bits = None if load else model.content_hash(), model.formats.event_bits if model.channels else 0
    if target.port != SIMULATED:
        if target.noise:
            raise UserError("--noise", f"cannot be used with port {target.port}", f"use it with --port {SIMULATED}: it tests the link")
        baud = _board_baud(target.board) if target.baud is None else target.baud
        with Accelerator.open(target.port, baud, model_hash=wanted, event_bits=event_bits, may_be_empty=starts_empty) as accelerator:
            _load(accelerator, writes or _if_empty(accelerator, model, hardware), model)
            description, mhz = f"{target.port}, {baud:,} baud", clock_mhz(folder, target.board)
            yield Connection(accelerator, description, counter_bits=counter_bits, clock_mhz=mhz)
        return
    with _simulated(folder, wanted, target, event_bits, may_be_empty=starts_empty) as connection:
        connection.counter_bits = counter_bits
        _load(connection.accelerator, writes or _if_empty(connection.accelerator, model, hardware), model)
        yield connection


def clock_mhz(folder: Path, board: str) -> float:
    """Return the core's clock on a board, in MHz: that of the folder where it was generated for this board, else the board's usual one."""
    if (folder / HARDWARE_FILE).is_file() and (folder / MANIFEST_FILE).is_file():
        manifest = read_manifest(folder)
        if manifest.board == board and manifest.core_mhz is not None:
            return manifest.core_mhz
    return render_top(load_board(board)).core_mhz


def _if_empty(accelerator: Accelerator, model: QuantizedModel, hardware: dict[str, Any]) -> list[RegisterWrite]:
    """Return what loads the weights of a device that has none yet."""
    return load_writes(model, hardware) if accelerator.info.is_empty else []


def _load(accelerator: Accelerator, writes: list[RegisterWrite], model: QuantizedModel) -> None:
    if writes:
        with working(f"loading {sum(len(write.words) for write in writes):,} words"):
            accelerator.load_weights(writes, model.content_hash())
    found, wanted = (accelerator.info.tokens, accelerator.info.classes), (model.tokens or model.channels, model.classes)
    if found != wanted:
        kind = "channels" if model.channels else "tokens"
        rule = f"has {found[0]} {kind} and {found[1]} classes, and names a model that has {wanted[0]} and {wanted[1]}"
        raise LinkError(f"device at {accelerator.name}", rule, "load the bitstream that was built for this model")


def _hardware(folder: Path) -> dict[str, Any]:
    read_generated(folder, Backend.RTL)
    hardware: dict[str, Any] = json.loads((folder / HARDWARE_FILE).read_bytes())
    return hardware


@contextmanager
def _simulated(folder: Path, model_hash: str | None, target: Target, event_bits: int, *, may_be_empty: bool) -> Iterator[Connection]:
    from sim.build_cache import BenchError
    from sim.simulated_board import SimulatedBoard

    if not (Path(folder) / HARDWARE_FILE).is_file():
        raise UserError(f"folder {folder}", "holds no generated hardware to simulate", "give a folder that egru generate wrote")
    read_generated(folder, Backend.RTL)
    require_tools()
    try:
        with working(f"building the simulation of {target.board}"):
            board = SimulatedBoard(folder, target.board, baud=target.baud, seed=target.seed)
    except BenchError as error:
        raise CheckFailedError(str(error).splitlines()[0].rstrip(":")) from None
    with board:
        line: Line = SerialLine(board.port, round(board.real_baud))
        noise = None
        if target.noise:
            line = noisy = NoisyLine(line, target.noise, target.seed)
            noise = {"to the device": noisy.sent, "from the device": noisy.received}
        connection = None
        try:
            transport = SerialTransport(line, board.real_baud, SIMULATION_PATIENCE)
            with Accelerator(transport, model_hash, event_bits=event_bits, may_be_empty=may_be_empty) as accelerator:
                description, mhz = f"{target.board}, simulated, behind {board.port}", clock_mhz(folder, target.board)
                connection = Connection(accelerator, description, noise, clock_mhz=mhz)
                yield connection
        except LinkError:
            if board.failure:
                raise CheckFailedError(f"the simulated board ended: {board.failure}") from None
            raise
        finally:
            report = board.close()
            if connection is not None and report is not None:
                connection.simulation.update(asdict(report), cycles_per_second=report.cycles_per_second)


def _board_baud(name: str) -> int:
    link = load_board(name).link
    if not isinstance(link, UartLink):
        raise UserError(f"board {name}", "has no serial line", "name the board that is at the port with --board, or its rate with --baud")
    return link.baud


class Run:
    """One run on an open device; the counters are cleared when it begins.

    Args:
        connection: The device.
        stimulus: What it is shown.
        watch: Called with every batch of answers; may be slow.
        count_seconds: How often the counters are read for it; 0 for never.
    """

    def __init__(self, connection: Connection, stimulus: Stimulus, watch: Callable[[Progress], None], count_seconds: float) -> None:
        self._device = connection.accelerator
        self._description = connection.description
        self._stimulus = stimulus
        self._watch, self._count_seconds = watch, count_seconds
        self._tokens: list[int] = list(stimulus.tokens)
        self._answers: list[Answer] = []
        self._counters: Counters | None = None
        self._counted_seconds = 0.0
        self._device.reset()
        self._started = monotonic()

    def stream(self, batch: int) -> RunResult:
        """Stream the whole stimulus, ``batch`` tokens per request."""
        for answer in self._device.stream(self._tokens, batch=batch):
            self._answers.append(answer)
            if len(self._answers) % batch == 0 or len(self._answers) == len(self._tokens):
                self._show(len(self._tokens))
        hits = sum(answer.symbol == token for answer, token in zip(self._answers, self._tokens[1:], strict=False))
        return self._result(hits if self._stimulus.is_text else None)

    def generate(self, count: int, choose: Callable[[Answer], int]) -> RunResult:
        """Stream the stimulus as a prompt, then ``count`` tokens that ``choose`` makes of the answer to the one before."""
        self._answers += self._device.stream(self._tokens, end=False)
        total = len(self._tokens) + count
        while len(self._tokens) < total:
            self._tokens.append(choose(self._answers[-1]))
            self._show(total)
            # The last one ends the sequence: else the core would go on to the work that its events make for the next step, and count it.
            self._answers.append(self._device.step(self._tokens[-1], last=len(self._tokens) == total))
        self._show(total)
        return self._result(None)

    def _seconds(self) -> float:
        return monotonic() - self._started

    def _show(self, total: int) -> None:
        if self._count_seconds and self._seconds() - self._counted_seconds > self._count_seconds:
            self._counters, self._counted_seconds = self._device.counters(), self._seconds()
        statistics, seconds = self._device.statistics, self._seconds()
        self._watch(Progress(self._tokens, self._answers, total, seconds, self._counters, self._counted_seconds, statistics))

    def _result(self, predicted: int | None) -> RunResult:
        seconds = self._seconds()
        counters = self._device.counters()
        description = self._stimulus.description
        link = self._device.statistics
        return RunResult(self._description, description, self._tokens, self._answers, seconds, predicted, counters, link)


def sampler(device: Accelerator, model: QuantizedModel, temperature: float, seed: int) -> Callable[[Answer], int]:
    """Return the choice of the next token: the answer itself at temperature 0, else drawn from the softmax of all logits.

    Raises:
        UserError: When the temperature is negative, or the device gives no logits to draw from.
    """
    if temperature < 0:
        raise UserError(f"temperature={temperature:g}", "is negative", "use 0 for the likeliest symbol, 0.7 for livelier text")
    if temperature == 0:
        return lambda answer: answer.symbol
    rng = np.random.default_rng(seed)
    scale = 2.0 ** -(model.decoder.weight_frac + model.formats.event_bits) / temperature

    def draw(_: Answer) -> int:
        logits = scale * np.array(device.logits(), np.float64)
        weights = np.exp(logits - logits.max())
        return int(rng.choice(len(weights), p=weights / weights.sum()))

    return draw


def compare(result: RunResult, model: QuantizedModel, last_logits: Sequence[int] | None, counter_bits: int | None) -> RunResult:
    """Compare every answer, the last step's logits, and the counters of steps, events and MACs with the integer reference.

    Args:
        result: What was answered.
        model: The model.
        last_logits: Of the last step; None where the device gives none.
        counter_bits: See `counted`.

    Returns:
        ``result`` with what was compared, or the first mismatch.
    """
    stream, compared = EventDrivenStream(model), 0
    logits = np.zeros(model.classes, np.int64)
    for place, (token, answer) in enumerate(zip(result.tokens, result.answers, strict=True)):
        logits = stream.step(token).logits
        expected = Answer(int(logits.argmax()), int(logits.max()))
        if answer != expected:
            return _found(result, compared, f"answer {place} to token {token}", tuple(answer), tuple(expected))
        compared += 1
    pairs = counted(result.counters, stream.counts, counter_bits)
    if last_logits is not None:
        pairs.append(("logits of the last step", list(last_logits), logits.tolist()))
    for what, found, wanted in pairs:
        if found != wanted:
            return _found(result, compared, what, found, wanted)
        compared += 1
    return _found(result, compared)


def counted(counters: Counters, work: WorkCounts, counter_bits: int | None) -> list[tuple[str, object, object]]:
    """Return what is compared of the hardware counters: what it is called, what was found, what the reference says.

    Args:
        counters: As they were read.
        work: What the reference counted.
        counter_bits: Both sides are taken modulo 2 to this power, as the counters wrap; None where it is not known, for the fewest bits.
    """
    modulus = 1 << (NARROWEST_COUNTER if counter_bits is None else counter_bits)
    pairs = [
        ("counter of steps", counters.steps, work.steps),
        ("counter of input events", counters.blocks[0]["input_events"], work.input_events),
        ("counters of events", counters.events, sum(work.events)),
        ("counters of MACs", counters.macs, sum(work.macs) + work.decoder_macs),
    ]
    return [(what, found % modulus, expected % modulus) for what, found, expected in pairs]


def _found(result: RunResult, compared: int, what: str = "", found: object = None, expected: object = None) -> RunResult:
    mismatch = f"{what} is {found}, the reference says {expected}" if what else ""
    return RunResult(**{**vars(result), "compared": compared, "mismatch": mismatch})
