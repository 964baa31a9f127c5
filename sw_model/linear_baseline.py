"""What a linear model makes of a data set: ridge regression, the figure that a recurrent network has to beat.

Classification: each sequence is cut into segments of equal length, the means of the features over each segment are its inputs, and one
target of ±1 for each class, "one against the rest", is fitted; the largest output decides, ties go to the lowest class. Regression: each
frame is predicted from itself and the frames just before it. Inputs are standardised on the training split; the strength of the ridge is
the one of `STRENGTHS` that does best on the validation split (ties: the weakest), and the training split alone is fitted.
"""

from dataclasses import dataclass

import numpy as np

from sw_model.errors import UserError
from sw_model.feature_dataset import FeatureDataset, FeatureSplit

SEGMENTS = 8
#: λ per training sequence (or frame).
STRENGTHS = tuple(10.0 ** (power / 2) for power in range(-8, 3))
#: Columns of the least-squares problem, which takes their square in memory.
MAX_COLUMNS = 8192


@dataclass(frozen=True)
class LinearBaseline:
    """How well a linear model does.

    Attributes:
        measure: ``accuracy``: share of sequences whose class is found. ``error``: root of the mean square error over all targets, each
            divided by its deviation in the training split; 1 is what the mean of each target gives.
        train: On the training split.
        valid: On the validation split.
        test: On the test split.
        segments: Segments of a sequence, or frames that a frame is predicted from.
        strength: λ per training sequence or frame.
    """

    measure: str
    train: float
    valid: float
    test: float
    segments: int
    strength: float


def segment_means(split: FeatureSplit, segments: int) -> np.ndarray:
    """Return the mean of each feature over each segment, float64, shape (sequences, segments · features).

    A sequence is cut as `numpy.array_split` cuts it: the first ``L mod S`` of the ``S`` segments of ``L`` frames are one frame longer than
    the others. A sequence shorter than the segments are many has segments of one frame, the last of them again and again.
    """
    sums = np.concatenate([np.zeros((1, split.features.shape[1])), np.cumsum(split.features, axis=0, dtype=np.float64)])
    lengths = split.lengths[:, None]
    edges = np.arange(segments + 1) * (lengths // segments) + np.minimum(np.arange(segments + 1), lengths % segments)
    first = np.minimum(edges[:, :-1], lengths - 1)
    end = np.maximum(edges[:, 1:], first + 1)
    first, end = first + split.offsets[:-1, None], end + split.offsets[:-1, None]
    means: np.ndarray = ((sums[end] - sums[first]) / (end - first)[..., None]).reshape(split.sequences, -1)
    return means


def linear_baseline(dataset: FeatureDataset, segments: int = SEGMENTS) -> LinearBaseline:
    """Fit and measure the linear model of the module's header.

    Args:
        dataset: What to fit.
        segments: Segments of a sequence, or for regression the frames that one is predicted from, itself included.

    Raises:
        UserError: When ``segments`` is below 1, or segments times features exceed `MAX_COLUMNS`.
    """
    columns = segments * len(dataset.feature_names)
    if segments < 1 or columns > MAX_COLUMNS:
        raise UserError(f"{segments} segments of {len(dataset.feature_names)} features", f"are not 1 to {MAX_COLUMNS} columns", "use fewer")
    classify = dataset.task == "classification"
    splits = (dataset.train, dataset.valid, dataset.test)
    inputs = [segment_means(split, segments) if classify else _window(split, segments) for split in splits]
    wanted = [_signs(split, len(dataset.class_names)) if classify else _targets(split, dataset.train) for split in splits]
    mean, deviation = inputs[0].mean(axis=0), inputs[0].std(axis=0)
    inputs = [(x - mean) / np.where(deviation > 0, deviation, 1.0) for x in inputs]
    middle = wanted[0].mean(axis=0)
    covariance, products = inputs[0].T @ inputs[0], inputs[0].T @ (wanted[0] - middle)
    score = _accuracy if classify else _error

    def measure(strength: float) -> tuple[float, ...]:
        weights = np.linalg.solve(covariance + strength * len(inputs[0]) * np.eye(columns), products)
        return tuple(score(x @ weights + middle, y) for x, y in zip(inputs, wanted, strict=True))

    tried = [(strength, measure(strength)) for strength in STRENGTHS]
    strength, (train, valid, test) = max(tried, key=lambda one: one[1][1] if classify else -one[1][1])
    return LinearBaseline("accuracy" if classify else "error", train, valid, test, segments, strength)


def _signs(split: FeatureSplit, classes: int) -> np.ndarray:
    return 2.0 * np.eye(classes)[split.labels] - 1.0


def _targets(split: FeatureSplit, train: FeatureSplit) -> np.ndarray:
    assert split.targets is not None  # the task is a regression
    assert train.targets is not None
    deviation = train.targets.std(axis=0, dtype=np.float64)
    scaled: np.ndarray = split.targets / np.where(deviation > 0, deviation, 1.0)
    return scaled


def _window(split: FeatureSplit, frames: int) -> np.ndarray:
    """Return each frame with those before it, the first of its sequence again where there are none, shape (frames, window · features)."""
    first = np.repeat(split.offsets[:-1], split.lengths)
    place = np.arange(split.frames)
    return np.concatenate([split.features[np.maximum(place - back, first)] for back in range(frames)], axis=1).astype(np.float64)


def _accuracy(found: np.ndarray, wanted: np.ndarray) -> float:
    return float((found.argmax(axis=1) == wanted.argmax(axis=1)).mean())


def _error(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found - wanted) ** 2)))
