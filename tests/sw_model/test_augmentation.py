from collections.abc import Callable

import numpy as np
import pytest
from pydantic import ValidationError

from sw_model.augmentation import Augmentation, add_noise, augment, feature_mask, time_mask, time_shift

FEATURES = np.arange(60, dtype=np.float32).reshape(12, 5)
SEEDS = range(200)


def test_a_shift_moves_whole_frames_and_repeats_the_edge() -> None:
    shifts = set()
    for seed in SEEDS:
        rows = (time_shift(FEATURES, np.random.default_rng(seed), 3)[:, 0] / 5).astype(int)
        shift = int(rows[6]) - 6
        assert rows.tolist() == np.clip(np.arange(12) + shift, 0, 11).tolist()
        shifts.add(shift)
    assert shifts == set(range(-3, 4))
    assert (time_shift(FEATURES[:1], np.random.default_rng(0), 50) == FEATURES[:1]).all()


@pytest.mark.parametrize(("mask", "axis"), [(time_mask, 0), (feature_mask, 1)])
@pytest.mark.parametrize("most", [3, 100])
def test_a_mask_hides_a_stretch_behind_the_mean(mask: Callable[..., np.ndarray], axis: int, most: int) -> None:
    widths = set()
    for seed in SEEDS:
        masked = mask(FEATURES, np.random.default_rng(seed), most)
        hidden = np.flatnonzero((masked != FEATURES).any(axis=1 - axis))
        assert np.array_equal(np.delete(masked, hidden, axis), np.delete(FEATURES, hidden, axis))
        assert np.array_equal(np.take(masked, hidden, axis), np.take(np.broadcast_to(FEATURES.mean(axis=0), (12, 5)), hidden, axis))
        assert not hidden.size or hidden[-1] - hidden[0] == len(hidden) - 1
        widths.add(len(hidden))
    assert widths == set(range(min(most, FEATURES.shape[axis]) + 1))


def test_noise_is_as_large_as_it_is_asked_to_be() -> None:
    silence = np.zeros((20_000, 3), np.float32)
    noisy = add_noise(silence, np.random.default_rng(1), np.array([0.0, 0.5, 2.0]))
    assert noisy.dtype == np.float32
    assert noisy.std(axis=0) == pytest.approx([0.0, 0.5, 2.0], rel=0.03)
    assert (noisy[:, 0] == 0).all()


def test_all_of_it_is_pure_and_follows_from_the_generator() -> None:
    before = FEATURES.copy()
    config = Augmentation(time_shift=3, time_mask=4, feature_mask=2, noise=0.1)
    one, same, other = (augment(FEATURES, np.random.default_rng(seed), config, FEATURES.std(axis=0)) for seed in (1, 1, 2))
    assert np.array_equal(FEATURES, before)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert (one.shape, one.dtype) == (FEATURES.shape, FEATURES.dtype)
    rng = np.random.default_rng(1)
    assert augment(FEATURES, rng, Augmentation(), FEATURES.std(axis=0)) is FEATURES
    assert rng.random() == np.random.default_rng(1).random()  # what is not done draws nothing
    with pytest.raises(ValidationError):
        Augmentation(noise=-1.0)
