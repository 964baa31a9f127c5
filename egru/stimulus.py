"""What a model is shown: held-out text, encoded test sequences of a data set, or random inputs where it knows neither."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from egru.artifacts import DEFAULT_STEPS, choose_tokens, deal_sequences, load_matching_features
from hls_gen.testbench import SEQUENCES, STEPS, Stimulus, random_stimulus
from sw_model.errors import UserError
from sw_model.feature_dataset import FeatureDataset, FeatureSplit
from sw_model.feature_match import feature_info
from sw_model.generated_features import GENERATED
from sw_model.input_encoding import encode
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import draw_events


@dataclass(frozen=True)
class Inputs:
    """What a model is shown.

    Attributes:
        sequences: Of each its tokens, or the input events of its steps, int, shape (steps, channels); none empty.
        title: What they are.
        remark: What the user should know of the choice; empty when nothing.
        split: The sequences of features that ``sequences`` are the encoding of; None of any other inputs.
        cut: Whether the last of them is not whole.
        saturated: Features of them that the encoding could not hold.
    """

    sequences: Sequence[Any]
    title: str
    remark: str = ""
    split: FeatureSplit | None = None
    cut: bool = False
    saturated: int = 0

    @property
    def steps(self) -> int:
        """Time steps of all sequences."""
        return sum(map(len, self.sequences))


def choose_inputs(
    model: QuantizedModel,
    *,
    sequences: int,
    seed: int,
    steps: int | None = None,
    source: str | None = None,
    usual_steps: int = DEFAULT_STEPS,
    every: bool = False,
) -> Inputs:
    """Find what to show a model.

    Args:
        model: The model.
        sequences: So many: tokens and random inputs are dealt over them, of a data set they are spread over its test split.
        seed: Of random inputs.
        steps: Time steps in all; of a data set a limit, and without it every sequence is whole.
        source: Text or data set; None for the one that the model was trained on, where that comes with this package.
        usual_steps: Steps of tokens or random inputs where ``steps`` does not say.
        every: Of a data set, take every test sequence instead of ``sequences``.

    Raises:
        UserError: When the source cannot be read, is not the model's, or has less than was asked for.
    """
    asked = usual_steps if steps is None else steps
    if not model.channels:
        tokens, title, remark = choose_tokens(model, asked, seed, source)
        return Inputs(deal_sequences(tokens, asked, sequences), title, remark)
    dataset, remark = _find_features(model, source)
    if dataset is None:
        events = draw_events(np.random.default_rng(seed), model, (asked,))
        return Inputs([events[part] for part in deal_sequences(np.arange(asked), asked, sequences)], "random input events", remark)
    if every:
        return _encode(model, dataset, dataset.test.sequences, steps)
    if sequences > dataset.test.sequences:
        most = dataset.test.sequences
        raise UserError(f"sequences={sequences}", f"exceeds the {most} test sequences of {dataset.name}", f"use at most {most}")
    return _encode(model, dataset, sequences, steps)


def sample_inputs(model: QuantizedModel, *, steps: int, sequences: int, seed: int, source: str | None = None) -> Inputs:
    """Take a look at what a model is shown: at most ``steps`` in all, fewer where there is less, dealt over at most ``sequences``.

    Of a data set these are beginnings of test sequences. Arguments and errors are those of `choose_inputs`.
    """
    if not model.channels:
        tokens, title, remark = choose_tokens(model, steps, seed, source)
        return Inputs(deal_sequences(tokens, min(steps, len(tokens)), sequences), title, remark)
    dataset, _ = _find_features(model, source)
    if dataset is None:
        return choose_inputs(model, sequences=sequences, seed=seed, steps=steps)
    whole = _encode(model, dataset, min(sequences, dataset.test.sequences), None)
    return Inputs([one[: steps // len(whole.sequences)] for one in whole.sequences], f"beginnings of {whole.title}")


def choose_stimulus(model: QuantizedModel, source: str | None = None) -> Stimulus:
    """Find what the testbench of a generated folder shows.

    Args:
        model: The model.
        source: See `choose_inputs`.

    Raises:
        UserError: When ``source`` is given and will not do.
    """
    try:
        found = sample_inputs(model, steps=STEPS, sequences=SEQUENCES, seed=1, source=source)
    except UserError:
        if source is not None:
            raise
        # Another Python comes with another text: the model is sound, only its words are not here.
        return random_stimulus(model)
    return Stimulus(tuple(tuple(np.asarray(one).tolist()) for one in found.sequences), found.title)


def judge(model: QuantizedModel, split: FeatureSplit, logits: np.ndarray, *, cut: bool) -> dict[str, Any]:
    """Say how good the decisions, or the outputs, of a model of features are.

    Args:
        model: The model, which has a read-out.
        split: The sequences that it was shown.
        logits: Its answers, int64, shape (steps, classes).
        cut: Whether the last sequence was not whole: such a one has no decision of its own, only decisions or outputs at its steps.

    Returns:
        JSON values: ``right`` of ``decisions`` and ``accuracy``, None without a decision; or ``squared_error`` by target, over all frames,
        in units of the target's variance over the training split.
    """
    assert model.readout is not None
    if split.targets is not None:
        assert model.readout.target_scale is not None
        outputs = model.readout.outputs(logits, model.decoder.weight_frac + model.formats.event_bits)
        squared = (((outputs - split.targets) / model.readout.target_scale) ** 2).mean(axis=0)
        return {"squared_error": dict(zip(model.class_names, squared.tolist(), strict=True))}
    assert split.labels is not None
    parts = list(zip(np.split(logits, split.offsets[1:-1]), split.labels, strict=True))
    if cut and model.readout.kind != "steps":
        parts = parts[:-1]
    hits = np.concatenate([np.atleast_1d(model.readout.decisions(part) == label) for part, label in parts] or [np.zeros(0, bool)])
    return {"decisions": hits.size, "right": int(hits.sum()), "accuracy": float(hits.mean()) if hits.size else None}


def _find_features(model: QuantizedModel, source: str | None) -> tuple[FeatureDataset | None, str]:
    """Read the data set of a model of features; None, and what the user should know, where its inputs have to be random."""
    info = feature_info(model)
    if source is None and (info is None or info.name != GENERATED):
        asks = "input events are random unless that data set is given with --data"
        return None, "" if info is None else f"the model was trained on {info.name}: {asks}"
    if info is None:
        rule = "cannot be shown to a model that does not name its features and classes"
        raise UserError(f"data set {source}", rule, "leave out --data: input events are then random")
    return load_matching_features(info, source, "the model"), ""


def _encode(model: QuantizedModel, dataset: FeatureDataset, sequences: int, steps: int | None) -> Inputs:
    """Encode test sequences, or as much of the first of them as ``steps`` frames."""
    assert model.feature_input is not None
    # In the order of their classes, as many data sets have them, the first ones would all be of the same.
    whole = dataset.test.select(np.arange(sequences) * dataset.test.sequences // sequences)
    split = whole if steps is None or steps >= whole.frames else _begin(whole, steps)
    encoded = encode(model.feature_input, model.formats.event_bits, split.features, split.offsets)
    cut = bool(split.lengths[-1] < whole.lengths[split.sequences - 1])
    title = f"{split.sequences} test sequence{'' if split.sequences == 1 else 's'} of {dataset.name}"
    shown = np.split(encoded.values, split.offsets[1:-1])
    return Inputs(shown, f"{title}, the last one cut" if cut else title, split=split, cut=cut, saturated=encoded.saturated)


def _begin(split: FeatureSplit, frames: int) -> FeatureSplit:
    """Return the first ``frames`` frames."""
    offsets = np.append(split.offsets[split.offsets < frames], frames)
    labels, groups = (None if values is None else values[: len(offsets) - 1] for values in (split.labels, split.groups))
    return FeatureSplit(split.features[:frames], offsets, labels, None if split.targets is None else split.targets[:frames], groups)
