from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from sw_model import input_encoding
from sw_model.errors import UserError
from sw_model.input_encoding import FeatureInput, FrameEncoder, calibrate, encode


def _dense(features: int = 1, scale: float = 1.0) -> FeatureInput:
    return FeatureInput("dense", np.zeros(features), np.full(features, scale))


def _delta(thresholds: list[int], names: tuple[str, ...] = ()) -> FeatureInput:
    width = len(thresholds)
    return FeatureInput("delta", np.zeros(width), np.ones(width), np.array(thresholds, np.int32), names)


def _column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


def test_a_tie_rounds_up_and_values_outside_saturate_and_are_counted() -> None:
    encoded = encode(_dense(), 8, _column(0.5, 1.49, 2.5, -0.5, -0.51, 255.0, 255.49, 255.5, 1e38))
    assert encoded.values[:, 0].tolist() == [1, 1, 3, 0, 0, 255, 255, 255, 255]
    assert (encoded.below.tolist(), encoded.above.tolist(), encoded.saturated) == ([1], [2], 3)
    assert encoded.event_density == 7 / 9


def test_offset_is_taken_before_the_scale() -> None:
    encoding = FeatureInput("dense", np.array([-1.0, 10.0]), np.array([4.0, 0.5]))
    encoded = encode(encoding, 4, np.array([[-1.0, 10.0], [0.0, 12.0], [2.75, 41.0]]))
    assert encoded.values.tolist() == [[0, 0], [4, 1], [15, 15]]
    assert encoded.above.tolist() == [0, 1]


def test_a_product_beyond_float64_saturates() -> None:
    encoded = encode(FeatureInput("dense", np.array([-1e308]), np.array([1e308])), 12, np.array([[1e308], [-1.5e308]]))
    assert encoded.values.tolist() == [[4095], [0]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_named(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_encoding, "BLOCK", 2)  # so that the frame stands in a later block
    features = np.zeros((5, 2), np.float32)
    features[3, 1] = value
    with pytest.raises(UserError, match=rf"feature 1 \(pitch\) = {value} in frame 3 is not a finite number"):
        encode(_delta([1, 1], ("energy", "pitch")), 8, features)
    with pytest.raises(UserError, match=rf"feature 1 = {value} in frame 3"):
        calibrate(features, 8)


@pytest.mark.parametrize("shape", [(3, 1), (3, 3), (3,), (1, 3, 2)])
def test_another_width_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"features of shape .* are not \(frames, 2\)"):
        encode(_dense(2), 8, np.zeros(shape))


def test_text_is_no_feature() -> None:
    with pytest.raises(UserError, match="are not real numbers"):
        encode(_dense(), 8, np.array([["1"]]))


def test_delta_sends_at_the_threshold_and_not_below() -> None:
    encoded = encode(_delta([3]), 8, _column(2, 3, 5, 6, 4, 3, 3))
    #                                 memory 0  3  3  6  6  3  3
    assert encoded.values.tolist() == [[0, 0], [3, 0], [0, 0], [3, 0], [0, 0], [0, 3], [0, 0]]


def test_delta_channels_of_each_direction_lie_side_by_side() -> None:
    encoded = encode(_delta([1, 2]), 4, np.array([[5.0, 1.0], [4.0, 9.0], [99.0, 0.0]]))
    assert encoded.values.tolist() == [[5, 0, 0, 0], [0, 9, 1, 0], [11, 0, 0, 9]]
    assert encoded.above.tolist() == [1, 0]


def test_delta_forgets_between_sequences_of_any_lengths() -> None:
    rng = np.random.default_rng(3)
    lengths = [4, 0, 7, 1, 7, 2]
    offsets = np.cumsum([0, *lengths])
    features = rng.normal(100.0, 60.0, (offsets[-1], 3))
    whole = encode(_delta([1, 20, 255]), 8, features, offsets)
    for start, end in pairwise(offsets):
        assert np.array_equal(whole.values[start:end], encode(_delta([1, 20, 255]), 8, features[start:end]).values)


@pytest.mark.parametrize("threshold", [1, 2, 40])
def test_the_sum_of_changes_stays_within_the_threshold_and_is_lossless_at_one(threshold: int) -> None:
    rng = np.random.default_rng(threshold)
    features = 100.0 + np.cumsum(rng.normal(0.0, threshold, (200, 2)), axis=0)
    changes = encode(_delta([threshold] * 2), 8, features).values.astype(np.int64)
    sums = np.cumsum(changes[:, :2] - changes[:, 2:], axis=0)
    error = np.abs(sums - encode(_dense(2), 8, features).values)
    assert error.max() == threshold - 1
    assert not (changes[:, :2] * changes[:, 2:]).any()


def test_an_input_that_does_not_change_is_silent() -> None:
    encoded = encode(_delta([1]), 8, np.full((50, 1), 17.0))
    assert np.flatnonzero(encoded.values).tolist() == [0]


def test_no_frames_are_encoded_to_none() -> None:
    encoded = encode(_delta([1]), 8, np.zeros((0, 1)), np.zeros(1, np.int64))
    assert encoded.values.shape == (0, 2)
    assert encoded.event_density == 0.0


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(1).normal(100.0, 100.0, (37, 3))
    whole = encode(_delta([1, 2, 3]), 8, features)
    monkeypatch.setattr(input_encoding, "BLOCK", 5)
    parts = encode(_delta([1, 2, 3]), 8, features)
    assert np.array_equal(whole.values, parts.values)
    assert (whole.below.tolist(), whole.above.tolist()) == (parts.below.tolist(), parts.above.tolist())


def test_calibration_spans_the_quantiles() -> None:
    features = np.stack([np.arange(1001.0), -2.0 * np.arange(1001.0)], axis=1)
    encoding = calibrate(features, 8, quantiles=(0.1, 0.9))
    assert encoding.offset.tolist() == [100.0, -1800.0]
    assert encoding.scale.tolist() == [255 / 800, 255 / 1600]
    encoded = encode(encoding, 8, features)
    assert (encoded.values.min(), encoded.values.max()) == (0, 255)
    assert encoded.below.tolist() == encoded.above.tolist() == [99, 99]


def test_calibration_of_features_that_hardly_or_never_change() -> None:
    features = np.zeros((5000, 3), np.float32)
    features[7, 0], features[:, 1], features[:, 2] = 8.0, 3.0, np.float32(1e-45) * (np.arange(5000) % 2)
    encoded = encode(calibrate(features, 8), 8, features)
    assert encoded.values[7, 0] == 255
    assert not encoded.values[:, 1].any()
    assert encoded.saturated == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scale": np.array([1.0, 0.0])}, "scale 0.0 of feature 1 is not above 0"),
        ({"scale": np.array([1.0, np.nan])}, "holds NaN"),
        ({"scale": np.ones(1)}, "shape"),
        ({"offset": np.zeros(2, np.float32)}, "float32"),
        ({"offset": np.zeros(0), "scale": np.zeros(0)}, "shape"),
        ({"encoding": "spikes"}, "'spikes' is not known"),
        ({"encoding": "delta"}, "disagrees with its delta_threshold"),
        ({"delta_threshold": np.ones(2, np.int32)}, "disagrees with its delta_threshold"),
        ({"encoding": "delta", "delta_threshold": np.array([1, 0], np.int32)}, "one integer from 1"),
        ({"encoding": "delta", "delta_threshold": np.ones(2)}, "one integer from 1"),
        ({"names": ("only",)}, "1 names of features disagree with 2 features"),
    ],
)
def test_an_illegal_encoding_cannot_be_made(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        FeatureInput(**{"encoding": "dense", "offset": np.zeros(2), "scale": np.ones(2)} | values)


def test_calibration_refuses_what_it_cannot_use() -> None:
    with pytest.raises(UserError, match="nothing to calibrate on"):
        calibrate(np.zeros((0, 2)), 8)
    with pytest.raises(UserError, match="quantiles"):
        calibrate(np.zeros((2, 2)), 8, quantiles=(0.5, 0.5))


@pytest.mark.parametrize("seed", range(12))
def test_frames_are_encoded_as_they_come(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_encoding, "BLOCK", 4)
    rng = np.random.default_rng(seed)
    width, lengths = int(rng.integers(1, 6)), rng.integers(1, 20, 3)
    threshold = rng.integers(1, 30, width).astype(np.int32) if seed % 2 else None
    encoding = FeatureInput("delta" if seed % 2 else "dense", rng.normal(size=width), rng.uniform(20, 90, width), threshold)
    features = rng.normal(size=(lengths.sum(), width)).astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    whole = encode(encoding, 7, features, offsets)
    encoder, parts = FrameEncoder(encoding, 7), []
    for start, end in pairwise(offsets):
        encoder.reset()
        cuts = np.sort(rng.integers(start, end + 1, rng.integers(0, 12)))
        parts += [encoder.feed(features[low:high]) for low, high in pairwise([start, *cuts, end])]
        assert encoder.frames == end - start, f"seed {seed}"
    assert np.concatenate(parts).tolist() == whole.values.tolist(), f"seed {seed}"
    assert (encoder.below.tolist(), encoder.above.tolist()) == (whole.below.tolist(), whole.above.tolist()), f"seed {seed}"
    assert encoder.saturated == whole.saturated > 0


def test_a_wrong_frame_of_a_stream_is_named_and_not_taken() -> None:
    encoder = FrameEncoder(_delta([1, 1], ("energy", "pitch")), 8)
    assert encoder.feed(np.array([[3.0, 0.0], [3.0, 300.0]])).tolist() == [[3, 0, 0, 0], [0, 255, 0, 0]]
    with pytest.raises(UserError, match=r"feature 1 \(pitch\) = nan in frame 3 is not a finite number"):
        encoder.feed(np.array([[9.0, 900.0], [0.0, np.nan]]))
    with pytest.raises(UserError, match=r"features of shape \(1, 3\) from frame 2 on are not \(frames, 2\)"):
        encoder.feed(np.zeros((1, 3)))
    assert (encoder.frames, encoder.saturated) == (2, 1)
    assert encoder.feed(np.array([[4.0, 255.0]])).tolist() == [[1, 0, 0, 0]]
