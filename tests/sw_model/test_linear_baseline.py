from dataclasses import replace

import numpy as np
import pytest

from sw_model.errors import UserError
from sw_model.feature_dataset import FeatureDataset, FeatureSplit, offsets_of
from sw_model.linear_baseline import linear_baseline, segment_means


def test_segments_are_those_of_array_split() -> None:
    lengths = [1, 2, 3, 7, 11, 30]
    features = np.random.default_rng(1).normal(size=(sum(lengths), 3)).astype(np.float32)
    split = FeatureSplit(features, offsets_of(lengths))
    for segments in (1, 3, 4, 8):
        found = segment_means(split, segments).reshape(len(lengths), segments, 3)
        for index, length in enumerate(lengths):
            parts = np.array_split(split.sequence(index).astype(np.float64), segments)
            wanted = [part.mean(axis=0) if len(part) else split.sequence(index)[-1] for part in parts]
            assert np.allclose(found[index], wanted, rtol=0, atol=1e-12), (segments, length)


def made(task: str, seed: int = 0) -> FeatureDataset:
    """Two classes that differ in the last third of one feature; or a target that is the feature of the frame before, times -3."""
    rng = np.random.default_rng(seed)

    def split() -> FeatureSplit:
        lengths = rng.integers(6, 15, 60)
        offsets, labels = offsets_of(lengths), rng.integers(0, 2, 60)
        features = rng.normal(size=(offsets[-1], 2)).astype(np.float32)
        if task == "classification":
            for index, label in enumerate(labels):
                features[offsets[index + 1] - 3 : offsets[index + 1], 1] += 4 * label
            return FeatureSplit(features, offsets, labels=labels)
        before = np.roll(features[:, :1], 1, axis=0)
        before[offsets[:-1]] = features[offsets[:-1], :1]
        return FeatureSplit(features, offsets, targets=-3 * before + 100)

    names = {"class_names": ("a", "b")} if task == "classification" else {"target_names": ("y",)}
    return FeatureDataset("made", task, split(), split(), split(), ("x0", "x1"), **names)  # type: ignore[arg-type]


def test_a_difference_at_the_end_is_seen_in_segments_only() -> None:
    dataset = made("classification")
    found = linear_baseline(dataset, 3)
    assert (found.measure, found.segments) == ("accuracy", 3)
    assert found.test > 0.9
    constant = replace(dataset.train, features=np.full_like(dataset.train.features, 7))
    assert linear_baseline(replace(dataset, train=constant), 3).train == np.bincount(np.asarray(constant.labels)).max() / 60


def test_a_regression_sees_the_frames_before() -> None:
    dataset = made("regression")
    assert linear_baseline(dataset, 1).test == pytest.approx(1.0, abs=0.1)
    found = linear_baseline(dataset, 2)
    assert found.measure == "error"
    assert found.test < 1e-3


@pytest.mark.parametrize("segments", [0, 1 << 20])
def test_segments_out_of_range(segments: int) -> None:
    with pytest.raises(UserError, match="columns"):
        linear_baseline(made("classification"), segments)
