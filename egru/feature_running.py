"""Running a model of features on a device: frames shown one by one or streamed, what comes back, and whether the reference says so too."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol

import numpy as np

from egru.host import Answer, Counters
from egru.running import counted
from egru.stimulus import Inputs, judge
from sw_model.quantized_model import QuantizedModel
from sw_model.reference import EventDrivenStream


class FrameDevice(Protocol):
    """What takes frames: an `Accelerator`, or the reference in its place."""

    @property
    def has_logits(self) -> bool:
        """Whether `logits` can be asked for."""
        ...

    def step(self, inputs: np.ndarray, *, last: bool = False) -> Answer:
        """Run one time step."""
        ...

    def logits(self) -> list[int]:
        """Return all logits of the last step."""
        ...


class ReferenceDevice:
    """The integer reference where a device is wanted, for `--port reference`."""

    has_logits = True

    def __init__(self, model: QuantizedModel) -> None:
        self.stream = EventDrivenStream(model)
        self._logits = np.zeros(model.classes, np.int64)

    def step(self, inputs: np.ndarray, *, last: bool = False) -> Answer:
        """Run one time step."""
        self._logits = self.stream.step(inputs).logits
        if last:
            self.stream.reset()
        return Answer(int(self._logits.argmax()), int(self._logits.max()))

    def logits(self) -> list[int]:
        """Return all logits of the last step."""
        found: list[int] = self._logits.tolist()
        return found


@dataclass(frozen=True)
class Comparison:
    """What comparing with the reference came to.

    Attributes:
        compared: Answers, rows of logits and counters that were compared.
        mismatches: Those of them that differ.
        first: The first of these in words; empty when all are equal.
    """

    compared: int
    mismatches: int
    first: str


class Transcript:
    """What a device was shown, and all that it said.

    Args:
        model: The model.

    Attributes:
        frames: Input events of every frame, int, shape (channels,).
        last: Of every frame, whether it ended its sequence.
        answers: One per frame.
        logits: All logits of every frame, shape (classes,); None where they were not read.
        seconds: Wall-clock time of each frame that was shown alone.
    """

    def __init__(self, model: QuantizedModel) -> None:
        self._model = model
        self.frames: list[np.ndarray] = []
        self.last: list[bool] = []
        self.answers: list[Answer] = []
        self.logits: list[np.ndarray | None] = []
        self.seconds: list[float] = []

    def show(self, device: FrameDevice, events: np.ndarray, *, last: bool, all_logits: bool = True) -> np.ndarray:
        """Show one frame and keep what the device says.

        Returns:
            Its logits, int64, shape (classes,); without ``all_logits`` see `rows`.
        """
        started = monotonic()
        answer = device.step(events, last=last)
        logits = np.array(device.logits(), np.int64) if all_logits else None
        self.seconds.append(monotonic() - started)
        self.take(events, answer, logits, last=last)
        return _row(answer, self._model.classes) if logits is None else logits

    def take(self, events: np.ndarray, answer: Answer, logits: np.ndarray | None, *, last: bool) -> None:
        """Keep what a device said to a frame."""
        self.frames.append(events)
        self.last.append(last)
        self.answers.append(answer)
        self.logits.append(logits)

    @property
    def input_events(self) -> int:
        """Input events of all frames."""
        return sum(int(np.count_nonzero(frame)) for frame in self.frames)

    def rows(self) -> np.ndarray:
        """Return the logits of every frame, int64, shape (frames, classes).

        Where they were not read, the largest stands where the device said, and all others are lower: enough for decisions from one step.
        """
        pairs = zip(self.answers, self.logits, strict=True)
        return np.stack([_row(answer, self._model.classes) if logits is None else logits for answer, logits in pairs])

    def compare(self, counters: Counters | None, counter_bits: int | None, last_logits: list[int] | None = None) -> Comparison:
        """Compare every answer, the logits that were read, and the counters with the integer reference.

        Args:
            counters: Of exactly these frames, the last of which ended its sequence; None not to compare them.
            counter_bits: See `egru.running.counted`.
            last_logits: Of the last frame, where its logits were not kept.
        """
        stream = EventDrivenStream(self._model)
        pairs: list[tuple[str, object, object]] = []
        logits = np.zeros(self._model.classes, np.int64)
        for place, (events, last, answer, known) in enumerate(zip(self.frames, self.last, self.answers, self.logits, strict=True)):
            logits = stream.step(events).logits
            pairs.append((f"answer to frame {place}", tuple(answer), (int(logits.argmax()), int(logits.max()))))
            if known is not None:
                pairs.append((f"logits of frame {place}", known.tolist(), logits.tolist()))
            if last:
                stream.reset()
        if last_logits is not None:
            pairs.append(("logits of the last frame", last_logits, logits.tolist()))
        if counters is not None:
            pairs += counted(counters, stream.counts, counter_bits)
        wrong = [f"{what} is {found}, the reference says {expected}" for what, found, expected in pairs if found != expected]
        return Comparison(len(pairs), len(wrong), wrong[0] if wrong else "")


def _row(answer: Answer, classes: int) -> np.ndarray:
    row = np.full(classes, answer.logit - 1, np.int64)
    row[answer.symbol] = answer.logit
    return row


def frame_rate(model: QuantizedModel) -> float | None:
    """Return the frames per second of what a model was trained on; None where it does not say."""
    data = model.metadata.get("data")
    rate = data.get("frame_rate") if isinstance(data, dict) else None
    return float(rate) if isinstance(rate, int | float) and rate > 0 else None


def pace(frames: int, seconds: float, rate: float | None, counters: Counters | None, mhz: float | None) -> dict[str, float | None]:
    """Say how fast frames were answered.

    Args:
        frames: So many.
        seconds: Wall-clock time.
        rate: Frames per second of the signal; None where it is not known.
        counters: Of the device; None where it has none, or they may have wrapped.
        mhz: Its clock.

    Returns:
        ``frames_per_second``; ``real_time_factor``, wall-clock time over the time that the frames last (below 1 keeps up);
        ``cycles_per_frame``; ``core_real_time_factor``, the same of the core alone, from its cycles and clock. None where unknown.
    """
    cycles = None if counters is None else counters.cycles / frames
    return {
        "frames_per_second": frames / seconds,
        "real_time_factor": None if rate is None else seconds / frames * rate,
        "cycles_per_frame": cycles,
        "core_real_time_factor": None if cycles is None or mhz is None or rate is None else cycles / (mhz * 1e6) * rate,
    }


def run_sequences(
    device: Any, model: QuantizedModel, inputs: Inputs, *, batch: int, all_logits: bool, advance: Callable[[int, str], None]
) -> tuple[Transcript, float]:
    """Show whole sequences to a device.

    Args:
        device: An `Accelerator`; its counters are cleared.
        model: The model.
        inputs: The sequences.
        batch: Words per request.
        all_logits: Read all logits of every frame, which takes a request for each; else the words of many frames share requests.
        advance: Called after each sequence with its frames, and what was decided in words.

    Returns:
        What was said, and the wall-clock time.
    """
    device.reset()
    transcript, started = Transcript(model), monotonic()
    for sequence in inputs.sequences:
        events = np.asarray(sequence)
        if all_logits:
            for place, frame in enumerate(events, 1):
                transcript.show(device, frame, last=place == len(events))
        else:
            for place, (frame, answer) in enumerate(zip(events, device.stream(events, batch=batch), strict=True), 1):
                transcript.take(frame, answer, None, last=place == len(events))
        advance(len(events), _decided(model, transcript.rows()[-len(events) :]))
    return transcript, monotonic() - started


def _decided(model: QuantizedModel, rows: np.ndarray) -> str:
    readout = model.readout
    assert readout is not None
    if readout.kind == "regression":
        outputs = readout.outputs(rows[-1], model.decoder.weight_frac + model.formats.event_bits)
        return "last outputs " + ", ".join(f"{output:.4g}" for output in outputs)
    return class_name(model, int(np.atleast_1d(readout.decisions(rows))[-1]))


def class_name(model: QuantizedModel, number: int) -> str:
    """Return what a class is called."""
    return model.class_names[number] if model.class_names else f"class {number}"


def report(model: QuantizedModel, inputs: Inputs, transcript: Transcript) -> dict[str, Any]:
    """Say what was decided, as JSON values: of each sequence, and with a data set how good it is (`egru.stimulus.judge`)."""
    rows, place, decided = transcript.rows(), 0, []
    labels = None if inputs.split is None else inputs.split.labels
    for number, sequence in enumerate(inputs.sequences):
        one: dict[str, Any] = {"frames": len(sequence), "decision": _decided(model, rows[place : place + len(sequence)])}
        if labels is not None:
            one["class"] = class_name(model, int(labels[number]))
        decided.append(one)
        place += len(sequence)
    quality = {} if inputs.split is None else judge(model, inputs.split, rows, cut=inputs.cut)
    return {"sequences": decided, "input_events": transcript.input_events, "saturated_inputs": inputs.saturated, **quality}
