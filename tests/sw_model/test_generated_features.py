import numpy as np
import pytest

from sw_model.errors import UserError
from sw_model.feature_dataset import FeatureDataset
from sw_model.feature_sources import shared_groups
from sw_model.generated_features import CLASS_NAMES, CUE, SHARES, STEPS, generated_dataset
from sw_model.linear_baseline import linear_baseline


@pytest.fixture(scope="module")
def generated() -> FeatureDataset:
    return generated_dataset()


def test_the_seed_fixes_every_number(generated: FeatureDataset) -> None:
    again, other = generated_dataset(0), generated_dataset(1)
    assert np.array_equal(generated.test.features, again.test.features)
    assert np.array_equal(generated.train.offsets, again.train.offsets)
    assert not np.array_equal(generated.test.offsets, other.test.offsets)
    with pytest.raises(UserError, match="seed -1"):
        generated_dataset(-1)


def test_classes_are_even_and_nobody_is_in_two_splits(generated: FeatureDataset) -> None:
    assert shared_groups(generated) == []
    for name, sequences in (("train", 2400), ("valid", 360), ("test", 600)):
        assert np.bincount(np.asarray(generated.split(name).labels)).tolist() == [sequences // 4] * 4
    assert np.array_equal(generated.test.features * STEPS, np.rint(generated.test.features * STEPS))


def test_the_class_is_the_stroke_after_the_cue(generated: FeatureDataset) -> None:
    """Who knows the shares can tell: the frames are unmixed into strokes, and the first after the cue's peak is taken."""
    unmix = np.linalg.pinv(SHARES)
    right = 0
    for index in range(generated.test.sequences):
        heights = np.lib.stride_tricks.sliding_window_view(generated.test.sequence(index) @ unmix, 3, axis=0).mean(axis=-1)
        peaks = heights.argmax(axis=0)
        after = [(peaks[kind], kind) for kind in range(CUE) if peaks[kind] > peaks[CUE]]
        right += bool(after) and min(after)[1] == np.asarray(generated.test.labels)[index]
    assert right / generated.test.sequences > 0.98


@pytest.mark.parametrize("segments", [1, 4, 8, 24])
def test_a_linear_model_cannot_tell(generated: FeatureDataset, segments: int) -> None:
    assert 1 / len(CLASS_NAMES) - 0.06 < linear_baseline(generated, segments).test < 0.45
