"""Whether a network of features and a data set belong together; without torch, since it is asked of exported models too."""

from dataclasses import dataclass

from sw_model.errors import UserError
from sw_model.feature_dataset import FeatureDataset, Task
from sw_model.quantized_model import QuantizedModel


@dataclass(frozen=True)
class FeatureInfo:
    """What a network knows of the feature streams that it was trained on.

    Attributes:
        name: Of the data set.
        task: What it does.
        features: Their names.
        outputs: Names of the classes or targets.
    """

    name: str
    task: Task
    features: tuple[str, ...]
    outputs: tuple[str, ...]


def feature_info(model: QuantizedModel) -> FeatureInfo | None:
    """Return what an exported model knows of its features; None of a model of tokens, or one that knows too little."""
    data = model.metadata.get("data")
    if model.feature_input is None or model.readout is None or not model.feature_input.names or not model.class_names:
        return None
    name = str(data.get("name")) if isinstance(data, dict) else "?"
    task: Task = "regression" if model.readout.kind == "regression" else "classification"
    return FeatureInfo(name, task, model.feature_input.names, model.class_names)


def require_same_features(known: FeatureInfo, dataset: FeatureDataset, what: str) -> None:
    """Check that what a network was trained on and a data set mean the same by their features and classes.

    Args:
        known: What the network knows.
        dataset: The data set.
        what: What holds the network, for the message.

    Raises:
        UserError: When they do not.
    """
    if known.task != dataset.task:
        raise UserError(
            f"{what}, trained for {known.task}", f"does no {dataset.task} as {dataset.name}", "give the data that it was trained on"
        )
    for kind, ours, theirs in (
        ("features", known.features, dataset.feature_names),
        ("classes or targets", known.outputs, dataset.class_names or dataset.target_names),
    ):
        if ours != theirs:
            remedy = "give the data that it was trained on"
            raise UserError(f"{what}, trained on {known.name}", f"has other {kind} than {dataset.name}", remedy)
