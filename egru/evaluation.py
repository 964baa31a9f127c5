"""Evaluating whatever `egru train`, `prune` or `export` wrote."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from egru.artifacts import Kind, TextInfo, kind_of, load_matching_text, text_info
from egru.measure import measure_model
from sw_model import checkpoint, ngram
from sw_model.datasets import TextDataset
from sw_model.errors import UserError
from sw_model.evaluate import Advance, Evaluation, evaluate_network
from sw_model.export import export_checkpoint
from sw_model.macs import MacReport, weight_density
from sw_model.pruning import density
from sw_model.quantized_model import QuantizedModel


@dataclass(frozen=True)
class EvaluationSettings:
    """What is measured, and how.

    Attributes:
        source: The text; None for the embedded one.
        split: ``train``, ``valid`` or ``test``.
        streams: See `sw_model.evaluate.deal`.
        jobs: Threads that integers are computed on.
        digest: Whether to digest every integer of the run.
    """

    source: str | None
    split: str
    streams: int
    jobs: int = 1
    digest: bool = False


def evaluate_artifact(folder: Path, settings: EvaluationSettings, advance: Advance | None = None) -> dict[str, Any]:
    """Measure a checkpoint or a model.

    Args:
        folder: What was written; a quantised checkpoint is exported in memory and measured as integers, which gives the same figures.
        settings: What is measured, and how.
        advance: Called as the run goes on.

    Returns:
        JSON values; ``macs_per_step`` is None for a float network, ``digest`` where none was asked for.

    Raises:
        UserError: When ``folder`` is damaged, the text is not the network's, or a digest is wanted of a float network.
    """
    if kind_of(folder) is Kind.MODEL:
        model = QuantizedModel.load(folder)
        info = text_info(model)
        if info is None:
            raise UserError(f"model {folder}", "knows no text, so its quality cannot be measured", "export it from a checkpoint")
        if model.classes != model.tokens:
            what = f"model {folder} of {model.classes} classes"
            raise UserError(what, f"does not predict its {model.tokens} symbols", "export it from a checkpoint")
        return _evaluate_model(model, info, "model", settings, advance)
    loaded = checkpoint.load(folder)
    known = loaded.text()
    info = TextInfo(known.name, known.unit, known.vocabulary)
    if loaded.manifest.quantization is not None:
        return _evaluate_model(export_checkpoint(folder), info, "quantised checkpoint", settings, advance)
    dataset = load_matching_text(info, settings.source)
    network = loaded.network().double()
    tokens = dataset.split(settings.split)
    evaluation = evaluate_network(network, tokens, settings.streams, digest=settings.digest, advance=advance)
    report = _report("float checkpoint", evaluation, density(network), None)
    return report | _text(dataset, settings.split)


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
