import numpy as np
import pytest

from sw_model.feature_dataset import FeatureDataset, FeatureSplit, offsets_of


@pytest.fixture(scope="session")
def signs() -> FeatureDataset:
    """Two classes that differ in the sign of the first feature, which is 100 times as large as the second one."""

    def split(sequences: int, seed: int) -> FeatureSplit:
        rng = np.random.default_rng(seed)
        lengths, labels = rng.integers(3, 12, sequences), rng.integers(0, 2, sequences)
        features = rng.standard_normal((int(lengths.sum()), 2)) * [100.0, 1.0]
        features[:, 0] += np.repeat(200.0 * labels - 100.0, lengths)
        return FeatureSplit(features.astype(np.float32), offsets_of(lengths), labels=labels.astype(np.int64))

    splits = (split(64, 1), split(32, 2), split(48, 3))
    return FeatureDataset("signs", "classification", *splits, ("a", "b"), ("low", "high"), frame_rate=50.0)
