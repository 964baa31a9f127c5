"""Evaluating whatever `egru train`, `prune` or `export` wrote."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from egru.artifacts import Kind, TextInfo, kind_of, load_matching_features, load_matching_text, text_info
from egru.measure import measure_model
from sw_model import checkpoint, ngram
from sw_model.datasets import TextDataset
from sw_model.errors import UserError
from sw_model.evaluate import Advance, Evaluation, evaluate_network
from sw_model.export import export_checkpoint
from sw_model.feature_dataset import FeatureDataset
from sw_model.feature_match import FeatureInfo, feature_info
from sw_model.linear_baseline import linear_baseline
from sw_model.macs import MacReport, count_macs, weight_density
from sw_model.pruning import density
from sw_model.quantized_model import QuantizedModel
from sw_model.sequence_evaluation import SequenceEvaluation, evaluate_sequence_model, evaluate_sequences


@dataclass(frozen=True)
class EvaluationSettings:
    """What is measured, and how.

    Attributes:
        source: The text, or the feature streams; None for the embedded ones.
        split: ``train``, ``valid`` or ``test``.
        streams: See `sw_model.evaluate.deal`; of features the sequences side by side.
        jobs: Threads that integers are computed on.
        digest: Whether to digest every integer of the run.
        integer: Whether a quantised checkpoint is measured as integers, or as it is trained: the figures are the same.
    """

    source: str | None
    split: str
    streams: int
    jobs: int = 1
    digest: bool = False
    integer: bool = True


def evaluate_artifact(folder: Path, settings: EvaluationSettings, advance: Advance | None = None) -> dict[str, Any]:
    """Measure a checkpoint or a model.

    Args:
        folder: What was written; a quantised checkpoint is exported in memory.
        settings: What is measured, and how.
        advance: Called as the run goes on.

    Returns:
        JSON values; ``macs_per_step`` is None for a float network, ``digest`` where none was asked for. Of features a step is a frame.

    Raises:
        UserError: When ``folder`` is damaged, the text is not the network's, or a digest is wanted of a float network.
    """
    if kind_of(folder) is Kind.MODEL:
        model = QuantizedModel.load(folder)
        if model.channels:
            known = feature_info(model)
            if known is None:
                rule = "does not name its features and classes, so its quality cannot be measured"
                raise UserError(f"model {folder}", rule, "export it from a checkpoint")
            return _evaluate_features(folder, known, model, None, "model", settings, advance)
        info = text_info(model)
        if info is None:
            raise UserError(f"model {folder}", "knows no text, so its quality cannot be measured", "export it from a checkpoint")
        if model.classes != model.tokens:
            what = f"model {folder} of {model.classes} classes"
            raise UserError(what, f"does not predict its {model.tokens} symbols", "export it from a checkpoint")
        return _evaluate_model(model, info, "model", settings, advance)
    loaded = checkpoint.load(folder)
    quantised = loaded.manifest.quantization is not None
    kind = "quantised checkpoint" if quantised else "float checkpoint"
    exported = export_checkpoint(folder) if quantised else None
    if isinstance(loaded.manifest.data, checkpoint.FeatureDataInfo):
        return _evaluate_features(folder, loaded.manifest.data.match(), exported, loaded, kind, settings, advance)
    text = loaded.text()
    info = TextInfo(text.name, text.unit, text.vocabulary)
    if exported is not None and settings.integer:
        return _evaluate_model(exported, info, kind, settings, advance)
    dataset = load_matching_text(info, settings.source)
    network = loaded.network().double()
    tokens = dataset.split(settings.split)
    evaluation = evaluate_network(network, tokens, settings.streams, digest=settings.digest, advance=advance)
    weights = density(network) if exported is None else weight_density(exported)
    report = _report(kind, evaluation, weights, None if exported is None else count_macs(exported, evaluation.events))
    return report | _text(dataset, settings.split)


def _evaluate_features(
    folder: Path,
    info: FeatureInfo,
    model: QuantizedModel | None,
    loaded: checkpoint.Checkpoint | None,
    kind: str,
    settings: EvaluationSettings,
    advance: Advance | None,
) -> dict[str, Any]:
    """Measure a model, or a checkpoint and the model that it is when it is quantised."""
    dataset = load_matching_features(info, settings.source, f"{kind} {folder}")
    split = dataset.split(settings.split)
    if model is not None and (settings.integer or loaded is None):
        found = evaluate_sequence_model(model, split, settings.streams, jobs=settings.jobs, digest=settings.digest, advance=advance)
        return _sequence_report(kind, dataset, settings.split, found, weight_density(model), count_macs(model, found.events))
    assert loaded is not None
    data, network = loaded.features(), loaded.network().double()
    feature_input, readout = data.feature_input(), data.readout()
    found = evaluate_sequences(
        network, split, feature_input, readout, data.event_bits, settings.streams, digest=settings.digest, advance=advance
    )
    weights = density(network) if model is None else weight_density(model)
    return _sequence_report(kind, dataset, settings.split, found, weights, None if model is None else count_macs(model, found.events))


def _sequence_report(
    kind: str, dataset: FeatureDataset, split: str, found: SequenceEvaluation, weights: float, macs: MacReport | None
) -> dict[str, Any]:
    squared = None if found.squared_error is None else found.squared_error.tolist()
    return {
        "kind": kind,
        "data": dataset.name,
        "task": dataset.task,
        "split": split,
        "sequences": found.sequences,
        "frames": found.events.steps,
        "accuracy": found.accuracy,
        "cross_entropy_bits": found.bits,
        "squared_error": None if squared is None else dict(zip(dataset.target_names, squared, strict=True)),
        "classes": list(dataset.class_names),
        "confusion": None if found.confusion is None else found.confusion.tolist(),
        "linear_baseline": getattr(linear_baseline(dataset), split),
        "saturated_inputs": found.saturated,
        "input_event_density": found.events.input_density,
        "event_density": found.events.total_density,
        "event_density_per_layer": list(found.events.density),
        "weight_density": weights,
        "macs_per_step": None if macs is None else _macs(macs),
        "digest": found.digest,
    }


def _evaluate_model(
    model: QuantizedModel, info: TextInfo, kind: str, settings: EvaluationSettings, advance: Advance | None
) -> dict[str, Any]:
    dataset = load_matching_text(info, settings.source)
    tokens = dataset.split(settings.split)
    measured = measure_model(model, tokens, settings.streams, jobs=settings.jobs, digest=settings.digest, advance=advance)
    report = _report(kind, measured.evaluation, weight_density(model), measured.macs)
    return report | _text(dataset, settings.split)


def _report(kind: str, evaluation: Evaluation, weights: float, macs: MacReport | None) -> dict[str, Any]:
    return {
        "kind": kind,
        "symbols": evaluation.symbols,
        "bits_per_symbol": evaluation.bits_per_symbol,
        "perplexity": evaluation.perplexity,
        "event_density": evaluation.total_event_density,
        "event_density_per_layer": list(evaluation.event_density),
        "weight_density": weights,
        "macs_per_step": None if macs is None else _macs(macs),
        "digest": evaluation.digest,
    }


def _text(dataset: TextDataset, split: str) -> dict[str, Any]:
    order = ngram.DEFAULT_ORDER[dataset.unit]
    baseline = {"order": order, "bits_per_symbol": ngram.bits_per_symbol(dataset, order, split)}
    return {"text": dataset.name, "split": split, "baseline": baseline}


def _macs(macs: MacReport) -> dict[str, dict[str, float | None]]:
    groups = {f"layer_{index}": group for index, group in enumerate(macs.layers)}
    groups |= {"decoder": macs.decoder, "without_decoder": macs.without_decoder, "with_decoder": macs.with_decoder}
    return {name: asdict(group) | {"law_ratio": group.law_ratio} for name, group in groups.items()}
