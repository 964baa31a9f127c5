"""Changes of a training sequence that leave its class as it is: shifts, masks and noise.

Masks in time and over features are those of SpecAugment (Park et al. 2019). Every function takes the features of one sequence, shape
(frames, features), and returns a new array of that shape and type; the same generator state gives the same result.
"""

import numpy as np
from pydantic import Field

from sw_model.strict_toml import StrictModel


class Augmentation(StrictModel):
    """What `augment` does to a sequence; what is 0 is not done.

    Attributes:
        time_shift: Most frames by which a sequence comes earlier or later.
        time_mask: Most frames in a row that are hidden.
        feature_mask: Most features side by side that are hidden.
        noise: Deviation of the noise, as a share of each feature's own deviation.
    """

    time_shift: int = Field(default=0, ge=0, le=1 << 20)
    time_mask: int = Field(default=0, ge=0, le=1 << 20)
    feature_mask: int = Field(default=0, ge=0, le=1 << 20)
    noise: float = Field(default=0.0, ge=0.0, le=1e6)


def augment(features: np.ndarray, rng: np.random.Generator, config: Augmentation, deviation: np.ndarray) -> np.ndarray:
    """Shift, mask and blur a sequence, in this order of the module's functions.

    Args:
        features: One sequence, shape (frames, features).
        rng: Where the choices are drawn from.
        config: What is done, and how much of it.
        deviation: Standard deviation of each feature over the training split, shape (features,).
    """
    if config.time_shift:
        features = time_shift(features, rng, config.time_shift)
    if config.time_mask:
        features = time_mask(features, rng, config.time_mask)
    if config.feature_mask:
        features = feature_mask(features, rng, config.feature_mask)
    if config.noise:
        features = add_noise(features, rng, config.noise * deviation)
    return features


def time_shift(features: np.ndarray, rng: np.random.Generator, most: int) -> np.ndarray:
    """Move a sequence by -``most`` to ``most`` frames; its first or last frame fills what it leaves, and it keeps its length."""
    shift = int(rng.integers(-most, most + 1))
    frames: np.ndarray = features[np.clip(np.arange(len(features)) - shift, 0, len(features) - 1)]
    return frames


def time_mask(features: np.ndarray, rng: np.random.Generator, most: int) -> np.ndarray:
    """Put the mean of the sequence in place of 0 to ``most`` frames in a row."""
    start, end = _stretch(rng, len(features), most)
    masked = features.copy()
    masked[start:end] = features.mean(axis=0)
    return masked


def feature_mask(features: np.ndarray, rng: np.random.Generator, most: int) -> np.ndarray:
    """Put its mean over the sequence in place of each of 0 to ``most`` features side by side."""
    start, end = _stretch(rng, features.shape[1], most)
    masked = features.copy()
    masked[:, start:end] = features[:, start:end].mean(axis=0)
    return masked


def add_noise(features: np.ndarray, rng: np.random.Generator, deviation: float | np.ndarray) -> np.ndarray:
    """Add normal noise of this deviation, one number or one for each feature."""
    noisy: np.ndarray = (features + rng.standard_normal(features.shape) * deviation).astype(features.dtype)
    return noisy


def _stretch(rng: np.random.Generator, length: int, most: int) -> tuple[int, int]:
    width = int(rng.integers(0, min(most, length) + 1))
    start = int(rng.integers(0, length - width + 1))
    return start, start + width
