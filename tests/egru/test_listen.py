"""`egru listen`: a wav file through front end, encoding, device and read-out."""

import sys
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sw_model.front_end import FrontEnd
from sw_model.input_encoding import Encoding, FeatureInput, encode
from sw_model.log_mel import LogMelConfig, log_mel
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.readout import Readout, ReadoutKind, RunningReadout
from sw_model.reference import BatchedReference
from sw_model.wav_file import read_wav
from tests.egru.conftest import egru
from tests.egru.fake_device import pseudo_terminal
from tests.egru.test_feature_run import FeatureDevice

CONFIG = LogMelConfig()
WORDS = ("stop", "go", "left", "right")


def listening_model(encoding: Encoding = "dense", readout: ReadoutKind = "mean", window: int = 1) -> QuantizedModel:
    drawn = random_model(RandomModelSpec(hidden=(12,), features=CONFIG.bands, encoding=encoding, classes=len(WORDS), density=0.4, seed=8))
    threshold = np.full(CONFIG.bands, 20, np.int32) if encoding == "delta" else None
    return replace(
        drawn,
        feature_input=FeatureInput(encoding, np.full(CONFIG.bands, 70.0), np.full(CONFIG.bands, 1.7), threshold),
        readout=Readout(readout, window),
        class_names=WORDS,
        metadata={"data": {"name": "words", "frame_rate": 50.0, "front_end": FrontEnd.of(CONFIG).model_dump()}},
    )


def write_wav(path: Path, samples: int, *, rate: int = 16_000, channels: int = 1) -> Path:
    """Write a tone that rises in noise."""
    time = np.arange(samples * channels) / rate
    sound = 0.3 * np.sin(2 * np.pi * 500 * time * (1 + time)) + np.random.default_rng(1).normal(0, 0.01, len(time))
    with wave.open(str(path), "wb") as writer:
        writer.setparams((channels, 2, rate, 0, "NONE", "NONE"))
        writer.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "tone.wav", 480 + 320 * 29 + 100)  # 30 frames and a rest


@pytest.mark.parametrize("window", [None, 12])
@pytest.mark.parametrize(("encoding", "readout", "steps"), [("dense", "mean", 1), ("delta", "last", 1), ("delta", "steps", 4)])
def test_decisions_are_those_of_the_whole_clip(
    encoding: Encoding, readout: ReadoutKind, steps: int, window: int | None, tone: Path, tmp_path: Path
) -> None:
    model = listening_model(encoding, readout, steps)
    model.save(tmp_path / "model")
    device = FeatureDevice(model)
    options = () if window is None else ("--window", window)
    with pseudo_terminal(device) as port:
        found = egru("listen", tmp_path / "model", "--wav", tone, "--port", port, "--json", *options).json()
    frames = log_mel(read_wav(tone, 16_000)).astype(np.float64)
    cuts = [0, 30] if window is None else [0, 12, 24, 30]
    assert model.feature_input is not None
    assert model.readout is not None
    encoded = encode(model.feature_input, 8, frames, np.array(cuts))
    expected = []
    for part in np.split(encoded.values, cuts[1:-1]):
        logits = np.stack([step.logits[0] for step in BatchedReference(model).run(part[None])])
        running = RunningReadout(model.readout)
        for row in logits:
            running.step(row)
        margin = running.margin * 2.0 ** -(model.decoder.weight_frac + model.formats.event_bits)
        expected.append((len(part), WORDS[int(np.atleast_1d(model.readout.decisions(logits))[-1])], margin))
    assert [(one["frames"], one["decision"], one["margin"]) for one in found["utterances"]] == expected
    assert found["decision"] == expected[-1][1]
    assert device.ends == cuts[1:]
    assert (found["frames"], found["mismatches"], found["compared"]) == (30, 0, 64)
    assert found["saturated_inputs"] == encoded.saturated > 0
    assert found["input_events"] == np.count_nonzero(encoded.values) > 0
    assert found["events_per_frame"] == device.stream.counts.events[0] / 30 > 0
    assert (found["cycles_per_frame"], found["core_real_time_factor"]) == (100, pytest.approx(1e-4))
    assert found["real_time_factor"] > 0
    assert found["front_end"] == FrontEnd.of(CONFIG).model_dump()
    # Without hardware the same is said, and nothing is compared.
    alone = egru("listen", tmp_path / "model", "--wav", tone, "--port", "reference", "--json", *options).json()
    assert alone["utterances"] == found["utterances"]
    assert alone["mismatches"] is alone["cycles_per_frame"] is None


def test_a_wrong_device_is_found(tone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    model = listening_model()
    model.save(tmp_path / "model")
    device = FeatureDevice(model)
    device.fault = 5
    with pseudo_terminal(device) as port:
        done = egru("listen", tmp_path / "model", "--wav", tone, "--port", port, "--plain")
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("check failed: answer to frame 4 is (")
    assert "64, 1 differ, the first: answer to frame 4" in done.out
    lines = [line for line in done.err.splitlines() if line.startswith("time ")]
    assert len(lines) == 30
    assert lines[0].startswith("time 0.03 s, decision ")
    assert "(end of 30 frames), margin " in lines[-1]


def test_a_model_without_a_front_end_says_what_to_do(tone: Path, tmp_path: Path) -> None:
    model = listening_model()
    silent = replace(model, metadata={"data": {"name": "words"}})
    silent.save(tmp_path / "silent")
    command = ("listen", tmp_path / "silent", "--wav", tone, "--port", "reference", "--json")
    done = egru(*command)
    assert (done.code, done.out) == (2, "")
    assert "does not say how its features were made of sound; train on what `egru data import wav`" in done.err
    assert egru(*command, "--default-front-end").json()["front_end"] == FrontEnd.of(CONFIG).model_dump()
    other = FrontEnd.of(LogMelConfig(hop=160)).model_dump()
    for number, (front_end, options, message) in enumerate(
        (
            (other, ("--default-front-end",), "--default-front-end is not the front end that the model names; leave it out"),
            (other | {"bands": 20}, (), "front end of 20 bands cannot feed a model that reads 40 features"),
            (other | {"hop": "far"}, (), "hop"),
            (other | {"fft": 10**9}, (), "fft=1000000000 is outside 4 to 16384"),
            ("log-mel", (), "front end that the model names is no table"),
        )
    ):
        folder = tmp_path / str(number)
        replace(model, metadata={"data": {"name": "words", "front_end": front_end}}).save(folder)
        done = egru("listen", folder, "--wav", tone, "--port", "reference", *options)
        assert (done.code, done.out) == (2, "")
        assert message in done.err


def test_the_frames_are_made_as_the_model_says(tone: Path, tmp_path: Path) -> None:
    metadata = {"data": {"front_end": FrontEnd.of(LogMelConfig(hop=160)).model_dump()}}
    replace(listening_model(), metadata=metadata).save(tmp_path / "model")
    assert egru("listen", tmp_path / "model", "--wav", tone, "--port", "reference", "--json").json()["frames"] == 59


def test_mistakes_are_named(tone: Path, tmp_path: Path) -> None:
    listening_model().save(tmp_path / "model")
    random_model(RandomModelSpec()).save(tmp_path / "tokens")
    scales = Readout("regression", 1, np.zeros(4), np.ones(4))
    replace(listening_model(), readout=scales).save(tmp_path / "regression")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "cut.wav").write_bytes(tone.read_bytes()[:2000])
    stereo = write_wav(tmp_path / "stereo.wav", 4000, channels=2)
    for model, options, message in (
        ("model", ("--wav", write_wav(tmp_path / "fast.wav", 9000, rate=44_100)), "44100 samples per second, not 16000; convert it"),
        ("model", ("--wav", stereo), "has 2 channels, not one; ask for their mean (--mix-down)"),
        ("model", ("--wav", tmp_path / "cut.wav"), "is truncated"),
        ("model", ("--wav", tmp_path / "empty.wav"), "is empty"),
        ("model", ("--wav", write_wav(tmp_path / "short.wav", 479)), "of 479 samples is shorter than a frame of 480"),
        ("model", ("--wav", tone, "--window", 31), "30 frames is shorter than --window 31; leave --window out"),
        ("model", ("--wav", tmp_path / "none.wav"), "none.wav"),
        ("model", (), "needs either --wav or --microphone"),
        ("model", ("--wav", tone, "--microphone"), "needs either --wav or --microphone"),
        ("model", ("--microphone", "--seconds", 0.02), "--seconds 0.02 is shorter than a frame"),
        ("tokens", ("--wav", tone), "a model of tokens hears nothing"),
        ("regression", ("--wav", tone), "the read-out regression decides no class"),
    ):
        done = egru("listen", tmp_path / model, "--port", "reference", *options)
        assert (done.code, done.out) == (2, ""), done
        assert message in done.err
        assert done.err.count("\n") == 1
    assert egru("listen", tmp_path / "model", "--port", "reference", "--wav", stereo, "--mix-down", "--json").json()["frames"] == 12


class FakeMicrophone:
    """What `sounddevice` offers of a microphone."""

    PortAudioError = type("PortAudioError", (Exception,), {})
    lost = False

    def __init__(self, samples: np.ndarray) -> None:
        self._samples, self._place = samples, 0

    def InputStream(self, **options: Any) -> "FakeMicrophone":  # noqa: N802 (the library's name)
        assert options == {"samplerate": 16_000, "channels": 1, "dtype": "int16"}
        return self

    def __enter__(self) -> "FakeMicrophone":
        return self

    def __exit__(self, *_: object) -> None:
        self._place = -1

    def read(self, count: int) -> tuple[np.ndarray, bool]:
        self._place += count
        return self._samples[self._place - count : self._place, None], self.lost


def test_the_microphone_is_heard_as_a_file_is(tone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listening_model("delta").save(tmp_path / "model")
    samples = (read_wav(tone, 16_000) * 32768).astype(np.int16)
    monkeypatch.setitem(sys.modules, "sounddevice", FakeMicrophone(samples))
    command = ("listen", tmp_path / "model", "--port", "reference", "--window", 10, "--json")
    heard = egru(*command, "--microphone", "--seconds", len(samples) / 16_000).json()
    assert heard["utterances"] == egru(*command, "--wav", tone).json()["utterances"]
    assert heard["sound"].startswith("microphone, ")
    monkeypatch.setattr(FakeMicrophone, "lost", True)
    monkeypatch.setitem(sys.modules, "sounddevice", FakeMicrophone(samples))
    assert "microphone lost samples: the device does not keep up" in egru(*command, "--microphone", "--seconds", 0.5).err


def test_without_its_library_the_microphone_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listening_model().save(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    done = egru("listen", tmp_path / "model", "--port", "reference", "--microphone")
    assert (done.code, done.out) == (2, "")
    assert "--microphone needs the library sounddevice" in done.err
    assert 'install it with pip install "egru-fpga[audio]"' in done.err
