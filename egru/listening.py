"""Sound through a model of features, frame by frame: samples, log-mel frames, input events, a device, decisions as they come."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from egru.feature_running import FrameDevice, Transcript, class_name
from sw_model.errors import UserError
from sw_model.front_end import model_front_end, require_bands
from sw_model.input_encoding import FrameEncoder
from sw_model.log_mel import LogMelConfig, LogMelStream
from sw_model.quantized_model import QuantizedModel
from sw_model.readout import RunningReadout
from sw_model.wav_file import read_wav

FRONT_END_REMEDY = (
    "train on what `egru data import wav` or arabic-speech-commands makes, or say --default-front-end if its features were made so"
)
AUDIO_REMEDY = 'install it with pip install "egru-fpga[audio]", and PortAudio (on Debian: apt install libportaudio2), or give --wav'


@dataclass(frozen=True)
class Sound:
    """What is listened to.

    Attributes:
        description: What it is.
        samples: Samples in all.
        pieces: The samples as they come, each shape (samples,), int16 or floats with full scale 1.
    """

    description: str
    samples: int
    pieces: Iterator[np.ndarray]


@dataclass(frozen=True)
class Heard:
    """One frame.

    Attributes:
        frame: Its number from the start of the sound.
        seconds: Of the sound, to its last sample.
        place: Its number in the utterance, from 1.
        ends: Whether it ends the utterance.
        decision: What is decided so far of the utterance.
        margin: Lead of this class over the next one, in logits (`RunningReadout.margin`, scaled).
        input_events: Input events of the frame.
        latency: Seconds from its last sample to the decision: front end, encoding, link and device.
    """

    frame: int
    seconds: float
    place: int
    ends: bool
    decision: str
    margin: float
    input_events: int
    latency: float


def find_front_end(model: QuantizedModel, *, default: bool) -> LogMelConfig:
    """Return what makes a model's features of sound.

    Args:
        model: The model.
        default: Whether the user said that it is the default one.

    Raises:
        UserError: When the model reads no features, names no front end and ``default`` is not given, names one and it is, or has another
            number of features.
    """
    if not model.channels:
        raise UserError("a model of tokens", "hears nothing", "give a model that was trained on log-mel frames: docs/audio_front_end.md")
    named = model_front_end(model)
    if named is not None:
        if default and named != LogMelConfig():
            raise UserError("--default-front-end", "is not the front end that the model names", "leave it out")
        return named
    if not default:
        raise UserError("the model", "does not say how its features were made of sound", FRONT_END_REMEDY)
    config = LogMelConfig()
    require_bands(model, config)
    return config


def wav_sound(path: Path, config: LogMelConfig, window: int | None, *, mix_down: bool) -> Sound:
    """Open a wav file.

    Raises:
        UserError: As `read_wav` does, or when it holds no whole frame, or no whole utterance of ``window`` frames.
    """
    samples = read_wav(path, config.sample_rate, mix_down=mix_down)
    what, frames = f"wav file {path} of {len(samples)} samples", config.frames(len(samples))
    if frames == 0:
        raise UserError(what, f"is shorter than a frame of {config.window}", "give a longer recording")
    if window is not None and frames < window:
        raise UserError(f"{what}, {frames} frames", f"is shorter than --window {window}", "leave --window out, or give a longer recording")
    pieces = (samples[start : start + config.hop] for start in range(0, len(samples), config.hop))
    return Sound(f"{path}, {len(samples) / config.sample_rate:.2f} s", len(samples), pieces)


def microphone_sound(config: LogMelConfig, window: int | None, seconds: float) -> Sound:
    """Open the microphone.

    Raises:
        UserError: When the library that records is missing, there is no microphone, or the time is too short.
    """
    samples = int(seconds * config.sample_rate)
    if config.frames(samples) < (window or 1):
        rule = f"is shorter than {'a frame' if window is None else f'--window {window}'}"
        raise UserError(f"--seconds {seconds:g}", rule, "listen longer")
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the library is there, PortAudio is not
        raise UserError("--microphone", f"needs the library sounddevice ({error})", AUDIO_REMEDY) from None
    return Sound(f"microphone, {seconds:g} s", samples, _record(sounddevice, config, samples))


def _record(sounddevice: Any, config: LogMelConfig, samples: int) -> Iterator[np.ndarray]:
    try:
        with sounddevice.InputStream(samplerate=config.sample_rate, channels=1, dtype="int16") as stream:
            for start in range(0, samples, config.hop):
                piece, lost = stream.read(min(config.hop, samples - start))
                if lost:
                    raise UserError(
                        "microphone", "lost samples: the device does not keep up", "use a faster line (--baud) or --port reference"
                    )
                yield piece[:, 0]
    except sounddevice.PortAudioError as error:
        raise UserError("microphone", f"cannot be opened ({error})", "check that one is there and free, or give --wav") from None


class Listener:
    """Listens to a sound, one utterance after the other.

    An utterance is the whole sound, or ``window`` frames. At its end the state of the network, the encoding's memory and the read-out begin
    anew; the front end goes on, since its frames do not depend on each other. The last utterance may be shorter.

    Args:
        model: The model.
        config: Its front end.
        device: What runs it.
        window: Frames of an utterance; None for the whole sound.

    Attributes:
        transcript: All that the device was shown and said.
        utterances: What was decided of each, as JSON values.
        seconds: Wall-clock time that the frames took, from each one's last sample to its decision.
        slowest: The longest that one of them took.

    Raises:
        UserError: When the model decides no class.
    """

    def __init__(self, model: QuantizedModel, config: LogMelConfig, device: FrameDevice, window: int | None) -> None:
        assert model.feature_input is not None
        assert model.readout is not None
        self._model, self._config, self._device, self._window = model, config, device, window
        self._front_end = LogMelStream(config)
        self._encoder = FrameEncoder(model.feature_input, model.formats.event_bits)
        self._readout = RunningReadout(model.readout)
        self._unit = 2.0 ** -(model.decoder.weight_frac + model.formats.event_bits)
        self.transcript = Transcript(model)
        self.utterances: list[dict[str, Any]] = []
        self.seconds = self.slowest = 0.0

    @property
    def saturated(self) -> int:
        """Features that saturated in the encoding."""
        return self._encoder.saturated

    def listen(self, sound: Sound, watch: Callable[[Heard], None]) -> None:
        """Listen to all of it.

        Args:
            sound: What to listen to; only whole frames of it are heard.
            watch: Called with every frame.

        Raises:
            UserError: When samples are no samples, or the device gives no logits.
            LinkError: When the link to the device cannot be kept.
        """
        total = self._config.frames(sound.samples)
        for piece in sound.pieces:
            started = monotonic()
            for frame in self._front_end.feed(piece):
                heard = self._hear(frame, total, started)
                self.seconds += heard.latency
                self.slowest = max(self.slowest, heard.latency)
                watch(heard)
                started = monotonic()

    def _hear(self, frame: np.ndarray, total: int, started: float) -> Heard:
        place, number = self._encoder.frames + 1, len(self.transcript.frames)
        ends = place == self._window or number + 1 == total
        events = self._encoder.feed(frame[None])[0]
        logits = self.transcript.show(self._device, events, last=ends)
        decision = class_name(self._model, self._readout.step(logits))
        heard = Heard(
            frame=number,
            seconds=(number * self._config.hop + self._config.window) / self._config.sample_rate,
            place=place,
            ends=ends,
            decision=decision,
            margin=self._readout.margin * self._unit,
            input_events=int(np.count_nonzero(events)),
            latency=monotonic() - started,
        )
        if ends:
            self.utterances.append({"frames": place, "seconds": heard.seconds, "decision": decision, "margin": heard.margin})
            self._encoder.reset()
            self._readout.reset()
        return heard
