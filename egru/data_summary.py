"""What `egru data` says of a set of feature streams."""

from dataclasses import asdict
from typing import Any

import numpy as np

from sw_model.datasets import SPLITS
from sw_model.feature_dataset import FeatureDataset, FeatureSplit
from sw_model.feature_sources import shared_groups
from sw_model.linear_baseline import linear_baseline


def describe(dataset: FeatureDataset) -> dict[str, Any]:
    """Return names, sizes, lengths, how often each class occurs, and the range of each feature of the training split."""
    features = dataset.train.features
    figures = (features.min(axis=0), features.mean(axis=0, dtype=np.float64), features.max(axis=0), features.std(axis=0, dtype=np.float64))
    ranges = [
        {"name": name, "min": float(least), "mean": float(mean), "max": float(most), "deviation": float(deviation)}
        for name, least, mean, most, deviation in zip(dataset.feature_names, *figures, strict=True)
    ]
    return {
        "name": dataset.name,
        "task": dataset.task,
        "source": dataset.source,
        "frame_rate": dataset.frame_rate,
        "classes": list(dataset.class_names),
        "targets": list(dataset.target_names),
        "splits": {name: _split(dataset.split(name), len(dataset.class_names)) for name in SPLITS},
        "groups_in_several_splits": len(shared_groups(dataset)),
        "features": ranges,
    }


def _split(split: FeatureSplit, classes: int) -> dict[str, Any]:
    lengths = split.lengths
    return {
        "sequences": split.sequences,
        "frames": split.frames,
        "lengths": {"min": int(lengths.min()), "median": float(np.median(lengths)), "max": int(lengths.max())},
        "groups": None if split.groups is None else len(np.unique(split.groups)),
        "per_class": None if split.labels is None else np.bincount(split.labels, minlength=classes).tolist(),
    }


def describe_baseline(dataset: FeatureDataset, segments: int) -> dict[str, Any]:
    """Return what a linear model makes of the data set, beside what the most frequent class of the training split gives, or the mean."""
    found = asdict(linear_baseline(dataset, segments))
    if dataset.train.labels is None or dataset.test.labels is None:
        return found | {"constant": 1.0}
    common = np.bincount(dataset.train.labels).argmax()
    return found | {"constant": float((dataset.test.labels == common).mean())}
