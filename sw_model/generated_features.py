"""A data set of feature streams that is made, not read: which stroke follows the cue?

Six sensors see four strokes, one of each kind A to D in random order, and before one of them a cue. The class of the sequence is the kind
of the stroke right after the cue. So what happens is the same in every class, and when a stroke comes says nothing either, only what came
before it. A stroke lets the sensors rise and fall again by shares that belong to its kind and overlap with the others'. Strokes are of
different length, strength and distance, and there is noise. Whoever makes them is slow or fast, weak or strong, and is in one split only.

A model that is linear in the frames adds up what a stroke says and what the cue says; the class is in neither. A recurrent network has to
remember that the cue came, take the next stroke, and ignore the others.
"""

import numpy as np

from sw_model.errors import UserError
from sw_model.feature_dataset import FeatureDataset, FeatureSplit, offsets_of

GENERATED = "generated"
FRAME_RATE = 50.0
CLASS_NAMES = ("A", "B", "C", "D")
CUE = len(CLASS_NAMES)
#: What each sensor sees of each kind, the cue last.
SHARES = np.array(
    [
        [1.0, 0.5, 0.0, 0.0, 0.3, 0.2],
        [0.0, 1.0, 0.5, 0.0, 0.3, 0.0],
        [0.3, 0.0, 1.0, 0.5, 0.0, 0.2],
        [0.5, 0.0, 0.0, 1.0, 0.3, 0.0],
        [0.3, 0.3, 0.0, 0.3, 0.5, 1.0],
    ]
)
SENSORS = SHARES.shape[1]
#: People and sequences of each split.
PEOPLE = {"train": 40, "valid": 6, "test": 10}
SEQUENCES = {"train": 2400, "valid": 360, "test": 600}
#: Frames of a stroke at common speed, between two of them, and before the first and after the last: least and most.
STROKE, GAP, REST = (4, 8), (1, 5), (0, 12)
NOISE = 0.08
#: Sensors have this many steps to their unit; so the same seed gives the same numbers on machines whose sine differs in its last bit.
STEPS = 256


def generated_dataset(seed: int = 0) -> FeatureDataset:
    """Make the data set; the same seed always makes the same one.

    Raises:
        UserError: When the seed is negative.
    """
    if seed < 0:
        raise UserError(f"seed {seed}", "is negative", "give 0 or more")
    rng = np.random.default_rng(seed)
    splits, first = {}, 0
    for name, people in PEOPLE.items():
        splits[name] = _split(rng, SEQUENCES[name], np.arange(first, first + people))
        first += people
    return FeatureDataset(
        name=GENERATED,
        task="classification",
        train=splits["train"],
        valid=splits["valid"],
        test=splits["test"],
        feature_names=tuple(f"sensor{number}" for number in range(SENSORS)),
        class_names=CLASS_NAMES,
        frame_rate=FRAME_RATE,
        source=f"made by egru data generate, seed {seed}",
    )


def _split(rng: np.random.Generator, sequences: int, people: np.ndarray) -> FeatureSplit:
    """Make every class, and every person, as often as any other, in random order."""
    labels = rng.permutation(np.arange(sequences) % len(CLASS_NAMES))
    groups = rng.permutation(people[np.arange(sequences) % len(people)])
    speed, strength = rng.uniform(0.8, 1.25, len(people)), rng.uniform(0.7, 1.3, len(people))
    made = [_sequence(rng, label, speed[who], strength[who]) for label, who in zip(labels, groups - people[0], strict=True)]
    return FeatureSplit(np.concatenate(made), offsets_of([len(one) for one in made]), labels=labels.astype(np.int64), groups=groups)


def _sequence(rng: np.random.Generator, label: int, speed: float, strength: float) -> np.ndarray:
    order = rng.permutation(len(CLASS_NAMES))
    strokes = np.insert(order, int(np.flatnonzero(order == label)[0]), CUE)
    lengths = np.rint(rng.uniform(*STROKE, len(strokes)) / speed).astype(np.int64)
    gaps = rng.integers(GAP[0], GAP[1] + 1, len(strokes))
    before, after = rng.integers(REST[0], REST[1] + 1, 2)
    starts = before + np.cumsum(lengths + gaps) - lengths - gaps
    features = rng.normal(0.0, NOISE, (starts[-1] + lengths[-1] + after + 1, SENSORS))
    heights = strength * rng.uniform(0.8, 1.2, len(strokes))
    for kind, start, length, height in zip(strokes, starts, lengths, heights, strict=True):
        bump = np.sin(np.pi * (np.arange(length) + 0.5) / length)
        features[start : start + length] += height * bump[:, None] * SHARES[kind]
    return (np.rint(features * STEPS) / STEPS).astype(np.float32)
