"""Logarithmic mel spectrum of 16 kHz speech, one frame of bytes per hop, from a whole clip or as its samples come in.

Frame k covers the samples x[k·hop .. k·hop + window - 1], full scale 1. Nothing is padded: n samples give ⌊(n - window) / hop⌋ + 1 frames.

    P_j = |Σ_i x[k·hop + i] · w_i · exp(-2πi·ij / fft)|²       w_i = 1/2 - 1/2 · cos(2πi / window): Hann, periodic
    E_m = Σ_j H_mj · P_j                                       H_m: triangle of height 1, straight in hertz, corners e_m, e_m+1, e_m+2
    dB_m = 10 · log10(E_m + power_floor)
    byte_m = saturate(⌊steps_per_db · (dB_m + offset_db) + 1/2⌋, 0, 255)

The corners e_0 .. e_bands+1 are equally spaced between low_hz and high_hz in mel = 2595 · log10(1 + Hz / 700), as in HTK
(Young et al., The HTK Book, section 5.4; O'Shaughnessy 1987). All in float64.

A frame's bytes depend on its samples alone, to the last bit: not on how many frames are computed at once, as they would with a matrix
product of BLAS, whose order of summation changes with the shape. That is what makes a stream equal to the whole clip.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sw_model.errors import UserError
from sw_model.fixed_point import round_half_up, saturate

BYTE_MAX = 255
#: Samples that are turned into frames at once: ten seconds. Memory beside the frames grows with it.
BLOCK_SAMPLES = 160_000
#: Full scale is 1; a filter may overshoot it, integers as floats are far beyond.
MAX_AMPLITUDE = 8.0
MAX_FFT, MAX_BANDS = 1 << 14, 512


@dataclass(frozen=True)
class LogMelConfig:
    """What the module's equations leave open; the defaults are 49 frames × 40 bands of a one-second clip.

    Attributes:
        sample_rate: Samples per second.
        window: Samples of a frame; 480 are 30 ms.
        hop: Samples from one frame to the next; 320 are 20 ms.
        fft: Points of the Fourier transform; the window is followed by zeros.
        bands: Mel bands, the features of a frame.
        low_hz: Lower corner of the first band.
        high_hz: Upper corner of the last band.
        power_floor: Added to a band's energy, so that silence has a logarithm.
        offset_db: A byte of 0 stands for ``-offset_db``.
        steps_per_db: Bytes per decibel.

    Raises:
        UserError: When a value is outside its range, or a band is so narrow that no point of the transform lies in it.
    """

    sample_rate: int = 16_000
    window: int = 480
    hop: int = 320
    fft: int = 512
    bands: int = 40
    low_hz: float = 20.0
    high_hz: float = 7600.0
    power_floor: float = 1e-10
    offset_db: float = 90.0
    steps_per_db: float = 2.0

    def __post_init__(self) -> None:
        """Check every value."""
        self._check("sample_rate", 1, 1_000_000)
        self._check("fft", 4, MAX_FFT)
        self._check("window", 2, self.fft, " of fft")
        self._check("hop", 1, self.window, " of window")
        self._check("bands", 1, MAX_BANDS)
        self._check("high_hz", 0.0, self.sample_rate / 2, ", half of sample_rate")
        self._check("low_hz", 0.0, self.high_hz, " of high_hz")
        self._check("power_floor", 1e-300, 1.0)
        self._check("offset_db", -1000.0, 1000.0)
        self._check("steps_per_db", 1e-3, 1e3)
        empty = np.flatnonzero(~(self._triangles > 0).any(axis=1))
        if len(empty):
            rule = f"leave band {empty[0]} without a point of the transform"
            raise UserError(f"bands={self.bands} with fft={self.fft}", rule, "give fewer bands, a longer fft, or a larger high_hz")

    def _check(self, name: str, low: float, high: float, source: str = "") -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise UserError(f"{name}={value}", f"is outside {low:g} to {high:g}{source}", "choose a value between")

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop

    @cached_property
    def corners_hz(self) -> np.ndarray:
        """Corners of the triangles: float64, shape (bands + 2,); band m rises from corner m to m + 1 and falls to m + 2."""
        low, high = (2595.0 * math.log10(1.0 + hertz / 700.0) for hertz in (self.low_hz, self.high_hz))
        return 700.0 * (10.0 ** (np.linspace(low, high, self.bands + 2) / 2595.0) - 1.0)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Name of each band by the hertz of its peak; with many bands two may have the same, hence the number."""
        return tuple(f"mel{band}_{peak:.0f}Hz" for band, peak in enumerate(self.corners_hz[1:-1]))

    def frames(self, samples: int) -> int:
        """Return how many frames so many samples give."""
        return max(0, (samples - self.window) // self.hop + 1)

    @cached_property
    def _triangles(self) -> np.ndarray:
        """Return H, float64, shape (bands, fft // 2 + 1)."""
        left, peak, right = (self.corners_hz[shift : self.bands + shift, None] for shift in range(3))
        points = np.arange(self.fft // 2 + 1) * self.sample_rate / self.fft
        with np.errstate(divide="ignore", invalid="ignore"):  # of low_hz = high_hz, refused as empty
            triangles: np.ndarray = np.maximum(0.0, np.minimum((points - left) / (peak - left), (right - points) / (right - peak)))
        return triangles


class LogMelStream:
    """Turns samples into frames as they come in."""

    def __init__(self, config: LogMelConfig | None = None) -> None:
        """Begin a stream; None for the default configuration."""
        self.config = config or LogMelConfig()
        self._taken = 0
        self._rest = np.empty(0)
        count = np.arange(self.config.window)
        self._window = 0.5 - 0.5 * np.cos(2.0 * np.pi * count / self.config.window)
        band, self._points = np.nonzero(self.config._triangles)
        self._weights = self.config._triangles[band, self._points]
        self._starts = np.searchsorted(band, np.arange(self.config.bands))

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples and return the frames that they complete.

        Args:
            samples: Any number of them, shape (samples,): int16, or floats with full scale 1.

        Returns:
            uint8, shape (frames, bands); a frame is complete with its last sample.

        Raises:
            UserError: When samples are of another type or shape, not finite, or far beyond full scale; none of them is taken then.
        """
        self._require_samples(samples)
        frames = [self._feed_block(samples[start : start + BLOCK_SAMPLES]) for start in range(0, len(samples), BLOCK_SAMPLES)]
        return np.concatenate([np.empty((0, self.config.bands), np.uint8), *frames])

    def _feed_block(self, samples: np.ndarray) -> np.ndarray:
        scale = 1 << 15 if samples.dtype == np.int16 else 1
        waiting = np.concatenate([self._rest, samples.astype(np.float64) / scale])
        self._taken += len(samples)
        count = self.config.frames(len(waiting))
        self._rest = waiting[count * self.config.hop :].copy()
        if count == 0:
            return np.empty((0, self.config.bands), np.uint8)
        return self._bytes(np.lib.stride_tricks.sliding_window_view(waiting, self.config.window)[:: self.config.hop])

    def _bytes(self, frames: np.ndarray) -> np.ndarray:
        """Turn samples of shape (frames, window) into bytes of shape (frames, bands)."""
        spectrum = np.fft.rfft(frames * self._window, self.config.fft)
        power = spectrum.real**2 + spectrum.imag**2
        # Band by band, always in the same order, see above.
        energy = np.add.reduceat(power[:, self._points] * self._weights, self._starts, axis=1)
        decibels = 10.0 * np.log10(energy + self.config.power_floor)
        steps = round_half_up(self.config.steps_per_db * (decibels + self.config.offset_db))
        quantised: np.ndarray = saturate(steps, 0, BYTE_MAX).astype(np.uint8)
        return quantised

    def _require_samples(self, samples: np.ndarray) -> None:
        if samples.ndim != 1 or samples.dtype not in (np.int16, np.float32, np.float64):
            remedy = "give one channel as int16, or as floats with full scale 1"
            raise UserError(f"samples of type {samples.dtype} and shape {samples.shape}", "are not a row of samples", remedy)
        if samples.dtype != np.int16:
            wrong = np.flatnonzero(~(np.abs(samples) <= MAX_AMPLITUDE))  # NaN too
            if len(wrong):
                what = f"sample {self._taken + wrong[0]} of value {samples[wrong[0]]}"
                raise UserError(
                    what, f"is not finite or exceeds {MAX_AMPLITUDE:g}; full scale is 1", "divide integer samples by 2^(bits-1)"
                )


def log_mel(samples: np.ndarray, config: LogMelConfig | None = None) -> np.ndarray:
    """Return the frames of a whole clip; arguments, result and errors as of `LogMelStream.feed`."""
    return LogMelStream(config).feed(samples)
