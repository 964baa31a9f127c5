import cmath
import math
import random

import numpy as np
import pytest

from sw_model.errors import UserError
from sw_model.log_mel import BLOCK_SAMPLES, LogMelConfig, LogMelStream, log_mel

SMALL = LogMelConfig(sample_rate=8000, window=40, hop=16, fft=64, bands=5, low_hz=100.0, high_hz=3500.0)


def sweep(samples: int, rate: int) -> np.ndarray:
    """A tone from 50 Hz to half the rate that grows from nearly nothing to full scale, as int16."""
    time = np.arange(samples) / rate
    phase = 2 * np.pi * (50 * time + (rate / 2 - 50) * time**2 / (2 * samples / rate))
    return np.round(32767 * 10 ** (-4 + 4 * np.arange(samples) / samples) * np.sin(phase)).astype(np.int16)


def mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)


def bytes_by_the_formula(samples: list[float], c: LogMelConfig) -> list[list[int]]:
    """The definition in numbers of Python, sum by sum."""
    step = (mel(c.high_hz) - mel(c.low_hz)) / (c.bands + 1)
    corners = [700 * (10 ** ((mel(c.low_hz) + step * index) / 2595) - 1) for index in range(c.bands + 2)]
    frames = []
    for start in range(0, len(samples) - c.window + 1, c.hop):
        hann = [math.sin(math.pi * i / c.window) ** 2 * samples[start + i] for i in range(c.window)]
        turns = [cmath.exp(-2j * math.pi * k / c.fft) for k in range(c.fft)]
        power = [abs(sum(x * turns[i * j % c.fft] for i, x in enumerate(hann))) ** 2 for j in range(c.fft // 2 + 1)]
        frame = []
        for low, peak, high in zip(corners, corners[1:], corners[2:], strict=False):
            energy = 0.0
            for j, value in enumerate(power):
                hertz = j * c.sample_rate / c.fft
                if low < hertz < high:
                    energy += value * ((hertz - low) / (peak - low) if hertz <= peak else (high - hertz) / (high - peak))
            value = c.steps_per_db * (10 * math.log10(energy + c.power_floor) + c.offset_db)
            frame.append(min(255, max(0, math.floor(value + 0.5))))
        frames.append(frame)
    return frames


@pytest.mark.parametrize(("config", "samples"), [(SMALL, 900), (LogMelConfig(), 1500)], ids=["small", "default"])
def test_a_sweep_gives_the_bytes_of_the_formula(config: LogMelConfig, samples: int) -> None:
    wave = sweep(samples, config.sample_rate)
    expected = bytes_by_the_formula([int(value) / 32768 for value in wave], config)
    assert len(expected) == config.frames(samples) > 0
    assert log_mel(wave, config).tolist() == expected
    assert len({value for frame in expected for value in frame}) > 20


def test_the_default_is_the_recipe_of_the_stored_data_set() -> None:
    config = LogMelConfig()
    assert (config.frames(16_000), config.bands, config.frame_rate) == (49, 40, 50.0)
    assert 1000 * config.window / config.sample_rate == 30
    assert len(set(config.feature_names)) == 40


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "config", [SMALL, LogMelConfig(), LogMelConfig(hop=480), LogMelConfig(hop=7, bands=3)], ids=lambda c: f"hop{c.hop}"
)
def test_a_stream_gives_the_frames_of_the_whole_clip(seed: int, config: LogMelConfig) -> None:
    rng = np.random.default_rng(seed)
    wave = np.clip(rng.normal(0, 10 ** rng.uniform(0, 4), 3000), -32768, 32767).astype(np.int16)
    whole = log_mel(wave, config)
    largest = random.Random(seed).choice([1, 2, config.window, 3 * config.window, 3000])
    cuts = np.unique(rng.integers(0, len(wave), len(wave) // largest))
    stream = LogMelStream(config)
    parts, taken = [], 0
    for part in np.split(wave, cuts):
        frames = stream.feed(part if rng.integers(2) else part / 32768)
        taken += len(part)
        parts.append(frames)
        assert sum(map(len, parts)) == config.frames(taken), f"seed {seed}"
    assert np.array_equal(np.concatenate(parts), whole), f"seed {seed}"


def test_a_long_clip_is_computed_in_blocks() -> None:
    config = LogMelConfig(hop=480)
    wave = np.random.default_rng(0).integers(-9999, 9999, BLOCK_SAMPLES + 5000).astype(np.int16)
    whole = log_mel(wave, config)
    assert len(whole) == config.frames(len(wave))
    first = BLOCK_SAMPLES // config.hop - 2
    assert np.array_equal(whole[first:], log_mel(wave[first * config.hop :], config))


def test_silence_is_zero_and_full_scale_saturates() -> None:
    assert not log_mel(np.zeros(16_000, np.int16)).any()
    tone = np.round(32767 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)).astype(np.int16)
    assert log_mel(tone).max() == 255


@pytest.mark.parametrize("samples", [0, 1, 479])
def test_less_than_a_window_is_no_frame(samples: int) -> None:
    assert log_mel(np.zeros(samples)).shape == (0, 40)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros((4, 2)), r"shape \(4, 2\) are not a row of samples"),
        (np.zeros(4, np.int32), "int32"),
        (np.zeros(4, np.uint8), "uint8"),
        (np.array([0.0, np.nan]), "sample 8 of value nan"),
        (np.array([0.5, -np.inf]), "sample 8 of value -inf"),
        (np.array([3000.0]), "sample 7 of value 3000.0 .* divide integer samples"),
    ],
)
def test_what_are_no_samples_is_refused_and_not_taken(samples: np.ndarray, said: str) -> None:
    stream, undisturbed = LogMelStream(), LogMelStream()
    assert len(stream.feed(np.zeros(7))) == len(undisturbed.feed(np.zeros(7))) == 0
    with pytest.raises(UserError, match=said):
        stream.feed(samples)
    rest = np.linspace(-0.5, 0.5, 600)
    assert np.array_equal(stream.feed(rest), undisturbed.feed(rest))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"window": 600}, "window=600 is outside 2 to 512 of fft"),
        ({"hop": 0}, "hop=0 is outside 1 to 480 of window"),
        ({"high_hz": 9000.0}, "high_hz=9000.0 is outside 0 to 8000, half of sample_rate"),
        ({"low_hz": 7700.0}, "low_hz=7700.0 is outside 0 to 7600 of high_hz"),
        ({"low_hz": 7600.0}, "leave band 0 without a point of the transform"),
        ({"bands": 128}, "bands=128 with fft=512 leave band"),
        ({"power_floor": float("nan")}, "power_floor=nan"),
        ({"bands": 1 << 30}, "bands=1073741824 is outside 1 to 512"),
    ],
)
def test_a_wrong_configuration_is_refused(values: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        LogMelConfig(**values)  # type: ignore[arg-type]
