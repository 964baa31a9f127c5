"""From real features to input events: the encodings of docs/semantics.md, section 5.

    v_f = sat(floor((x_f − offset_f) · scale_f + 1/2), 0, 2^n − 1)       in float64, in this order

    dense   u_f = v_f
    delta   memory m_f = 0 at the start of a sequence
            if |v_f − m_f| ≥ δ_f:  u_f = max(v_f − m_f, 0),  u_(F+f) = max(m_f − v_f, 0),  m_f = v_f
            else:                  u_f = u_(F+f) = 0

Here the integer world begins: these integers, not the features, are what hardware is sent. ``delta`` is the send-on-delta of Neil et al.,
"Delta networks for optimized recurrent network computation" (ICML 2017): an input that does not change costs nothing.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sw_model.errors import UserError
from sw_model.fixed_point import round_half_up, saturate

Encoding = Literal["dense", "delta"]

REMEDY = "calibrate the encoding again"
#: Frames that are worked on at a time, so that a long data set needs no second copy of itself in float64.
BLOCK = 1 << 16


@dataclass(frozen=True)
class FeatureInput:
    """How the features of a frame become the input events of a time step.

    Attributes:
        encoding: ``dense`` or ``delta``.
        offset: Feature that becomes 0, float64, shape (features,).
        scale: Steps of the integer per unit of the feature, float64, shape (features,), more than 0.
        delta_threshold: ``δ``, int32, shape (features,), at least 1; None where the encoding is ``dense``.
        names: One per feature; empty when features have no names.

    Raises:
        UserError: When a shape or range breaks docs/semantics.md.
    """

    encoding: Encoding
    offset: np.ndarray
    scale: np.ndarray
    delta_threshold: np.ndarray | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check every shape and range."""
        for name, values in (("offset", self.offset), ("scale", self.scale)):
            if values.ndim != 1 or values.shape != self.offset.shape or not values.size or values.dtype != np.float64:
                raise UserError(f"{name} of the features, shape {values.shape}, {values.dtype}", "is not float64 (features,)", REMEDY)
            if not np.isfinite(values).all():
                raise UserError(f"{name} of the features", "holds NaN or infinity", REMEDY)
        if self.scale.min() <= 0:
            raise UserError(f"scale {self.scale.min()} of {self.name(int(self.scale.argmin()))}", "is not above 0", REMEDY)
        if self.encoding not in ("dense", "delta"):
            raise UserError(f"encoding {self.encoding!r}", "is not known", "use dense or delta")
        if (self.delta_threshold is None) != (self.encoding == "dense"):
            raise UserError(f"encoding {self.encoding!r}", "disagrees with its delta_threshold", "give one to delta only")
        if self.delta_threshold is not None:
            given = self.delta_threshold
            if given.shape != self.offset.shape or not np.issubdtype(given.dtype, np.integer) or given.min() < 1:
                raise UserError(f"delta_threshold of shape {given.shape}, {given.dtype}", "is not one integer from 1 a feature", REMEDY)
        if self.names and len(self.names) != self.features:
            raise UserError(f"{len(self.names)} names of features", f"disagree with {self.features} features", REMEDY)

    @property
    def features(self) -> int:
        """Number of features of a frame."""
        return len(self.offset)

    @property
    def channels(self) -> int:
        """Number of inputs of layer 0: one per feature, or with ``delta`` two, all the rising ones first."""
        return self.features * (1 if self.delta_threshold is None else 2)

    def name(self, feature: int) -> str:
        """Return what a message calls a feature."""
        return f"feature {feature}" + (f" ({self.names[feature]})" if self.names else "")


@dataclass(frozen=True)
class EncodedInput:
    """Frames as a model reads them.

    Attributes:
        values: ``u``, int16, shape (frames, channels); 0 is silence.
        below: Frames whose feature fell below the smallest integer and saturated, int64, shape (features,).
        above: The same above the largest.
    """

    values: np.ndarray
    below: np.ndarray
    above: np.ndarray

    @property
    def saturated(self) -> int:
        """Features that saturated, over all frames."""
        return int(self.below.sum() + self.above.sum())

    @property
    def event_density(self) -> float:
        """Input events per channel and frame; 0 without frames."""
        return float(np.count_nonzero(self.values) / self.values.size) if self.values.size else 0.0


class FrameEncoder:
    """Encodes one sequence as its frames come in; however they are cut, the integers are those of `encode`.

    Args:
        feature_input: The encoding.
        event_bits: Bits ``n`` of an input event.

    Attributes:
        frames: Frames of this sequence that were taken.
        below: See `EncodedInput`; these two go on over all sequences.
        above: See `EncodedInput`.
    """

    def __init__(self, feature_input: FeatureInput, event_bits: int) -> None:
        self._feature_input, self._top = feature_input, (1 << event_bits) - 1
        self.below, self.above = np.zeros((2, feature_input.features), np.int64)
        self.reset()

    def reset(self) -> None:
        """Begin a new sequence."""
        self.frames = 0
        self._memory = np.zeros((1, self._feature_input.features), np.int16)

    @property
    def saturated(self) -> int:
        """Features that saturated so far."""
        return int(self.below.sum() + self.above.sum())

    def feed(self, features: np.ndarray) -> np.ndarray:
        """Take the next frames.

        Args:
            features: Real numbers, shape (frames, features).

        Returns:
            ``u``, int16, shape (frames, channels).

        Raises:
            UserError: When a frame has another number of features, or a feature is NaN or infinite; none of the frames is taken then.
        """
        return self._encode(features, np.array([0, len(features)]), self._memory)

    def _encode(self, features: np.ndarray, ends: np.ndarray, memory: np.ndarray) -> np.ndarray:
        """Encode sequences side by side, each from its row of ``memory`` on."""
        values = self._quantise(features)
        threshold = self._feature_input.delta_threshold
        return values if threshold is None else _send_on_delta(values, ends, threshold, memory)

    def _quantise(self, features: np.ndarray) -> np.ndarray:
        known = self._feature_input
        if features.ndim != 2 or features.shape[1] != known.features:
            what = f"features of shape {features.shape}" + (f" from frame {self.frames} on" if self.frames else "")
            raise UserError(what, f"are not (frames, {known.features})", "give frames of that width")
        counts = np.zeros((2, known.features), np.int64)
        quantised = [np.empty((0, known.features), np.int16)]
        for start in range(0, len(features), BLOCK):
            block = features[start : start + BLOCK]
            _require_finite(known, block, self.frames + start)
            with np.errstate(over="ignore"):  # an infinity saturates as any other large number does
                wanted = round_half_up((block.astype(np.float64) - known.offset) * known.scale)
            counts += np.stack([(wanted < 0).sum(axis=0), (wanted > self._top).sum(axis=0)])
            quantised.append(saturate(wanted, 0, self._top).astype(np.int16))
        self.frames += len(features)
        self.below += counts[0]
        self.above += counts[1]
        return np.concatenate(quantised)


def encode(feature_input: FeatureInput, event_bits: int, features: np.ndarray, offsets: np.ndarray | None = None) -> EncodedInput:
    """Encode sequences.

    Args:
        feature_input: The encoding.
        event_bits: Bits ``n`` of an input event.
        features: Real numbers, shape (frames, features): all sequences one after the other.
        offsets: Where the sequences begin, and at last where they end, int, shape (sequences + 1,); None for one sequence.

    Raises:
        UserError: When a frame has another number of features, or a feature is NaN or infinite.
    """
    encoder = FrameEncoder(feature_input, event_bits)
    ends = np.array([0, len(features)]) if offsets is None else np.asarray(offsets, np.int64)
    values = encoder._encode(features, ends, np.zeros((len(ends) - 1, feature_input.features), np.int16))
    return EncodedInput(values, encoder.below, encoder.above)


def calibrate(
    features: np.ndarray,
    event_bits: int,
    encoding: Encoding = "dense",
    *,
    quantiles: tuple[float, float] = (0.001, 0.999),
    delta_threshold: int = 1,
    names: tuple[str, ...] = (),
) -> FeatureInput:
    """Choose offset and scale so that two quantiles of each feature become the smallest and the largest integer.

    Args:
        features: Of the training split, shape (frames, features).
        event_bits: Bits ``n`` of an input event.
        encoding: ``dense`` or ``delta``.
        quantiles: Lower and upper, 0 to 1. Where both are the same number, the least and the largest feature take their place; where
            these are the same too, that number becomes 0.
        delta_threshold: ``δ`` of every feature; only for ``delta``.
        names: One per feature, or nothing.

    Raises:
        UserError: When there is no frame, a feature is NaN or infinite, or the quantiles are out of order.
    """
    if features.ndim != 2 or 0 in features.shape:
        raise UserError(f"features of shape {features.shape}", "leave nothing to calibrate on", "give (frames, features)")
    if not 0.0 <= quantiles[0] < quantiles[1] <= 1.0:
        raise UserError(f"quantiles={quantiles}", "are not two rising numbers of 0 to 1", "use 0.001 and 0.999")
    width = features.shape[1]
    whole = FeatureInput("dense", np.zeros(width), np.ones(width), names=names)
    _require_finite(whole, features, 0)
    low, high = (np.quantile(features, quantile, axis=0).astype(np.float64) for quantile in quantiles)
    rare = high <= low
    low, high = np.where(rare, features.min(axis=0), low), np.where(rare, features.max(axis=0), high)
    with np.errstate(divide="ignore", over="ignore"):
        scale = ((1 << event_bits) - 1) / (high - low)
    scale = np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
    threshold = np.full(width, delta_threshold, np.int32) if encoding == "delta" else None
    return FeatureInput(encoding, low, scale, threshold, names)


def _require_finite(feature_input: FeatureInput, features: np.ndarray, first_frame: int) -> None:
    if not np.issubdtype(features.dtype, np.floating) and not np.issubdtype(features.dtype, np.integer):
        raise UserError(f"features of type {features.dtype}", "are not real numbers", "give floating-point numbers")
    finite = np.isfinite(features)
    if not finite.all():
        frame, feature = np.argwhere(~finite)[0].tolist()
        what = f"{feature_input.name(feature)} = {features[frame, feature]} in frame {first_frame + frame}"
        raise UserError(what, "is not a finite number", "mend or leave out that frame")


def _send_on_delta(values: np.ndarray, ends: np.ndarray, threshold: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """Send changes; all sequences side by side, the longest first, so that those that still run are the first rows.

    Args:
        values: ``v``, int16, shape (frames, features).
        ends: Where each sequence begins, and where the last one ends.
        threshold: ``δ``.
        memory: ``m`` of each sequence, int16, shape (sequences, features); left as it is after the last frames.
    """
    lengths = np.diff(ends)
    order = np.argsort(-lengths, kind="stable")
    starts, lengths = ends[:-1][order], lengths[order]
    sent = np.zeros((len(values), 2 * values.shape[1]), np.int16)
    for t in range(int(lengths.max(initial=0))):
        running = int(np.searchsorted(-lengths, -t))
        rows = starts[:running] + t
        change = values[rows] - memory[order[:running]]
        change[np.abs(change) < threshold] = 0
        sent[rows] = np.concatenate([np.maximum(change, 0), np.maximum(-change, 0)], axis=1)
        memory[order[:running]] += change
    return sent
