import hashlib
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sw_model.errors import UserError
from sw_model.feature_dataset import (
    DATASET_FILE,
    MAX_NAME,
    FeatureDataset,
    FeatureSplit,
    hold_out,
    offsets_of,
    read_dataset,
    write_dataset,
)
from sw_model.log_mel import LogMelConfig


def split(lengths: list[int], labels: list[int] | None = None, groups: list[int] | None = None, seed: int = 0) -> FeatureSplit:
    features = np.random.default_rng(seed).normal(size=(sum(lengths), 2)).astype(np.float32)
    given = [None if values is None else np.array(values, np.int64) for values in (labels, groups)]
    targets = features[:, :1] * 2 if labels is None else None
    return FeatureSplit(features, offsets_of(lengths), labels=given[0], targets=targets, groups=given[1])


def dataset(**changes: Any) -> FeatureDataset:
    given: dict[str, Any] = {
        "name": "two sensors",
        "task": "classification",
        "train": split([3, 1, 2], [0, 1, 1], [7, 8, 8]),
        "valid": split([2, 2], [1, 0], [9, 9], 1),
        "test": split([4], [0], [10], 2),
        "feature_names": ("left", "right"),
        "class_names": ("up", "down"),
        "frame_rate": 50.0,
        "source": "drawn",
    }
    return FeatureDataset(**(given | changes))


def regression(**changes: Any) -> FeatureDataset:
    splits = {"train": split([3, 2]), "valid": split([2], seed=1), "test": split([4], seed=2)}
    return dataset(task="regression", class_names=(), target_names=("speed",), frame_rate=None, **(splits | changes))


def assert_equal(one: FeatureDataset, other: FeatureDataset) -> None:
    for name in ("name", "task", "feature_names", "class_names", "target_names", "frame_rate", "source"):
        assert getattr(one, name) == getattr(other, name)
    for name in ("train", "valid", "test"):
        for key in ("features", "offsets", "labels", "targets", "groups"):
            first, second = getattr(one.split(name), key), getattr(other.split(name), key)
            assert (first is None) == (second is None), key
            if first is not None:
                assert first.dtype == second.dtype
                assert np.array_equal(first, second)


@pytest.mark.parametrize("made", [dataset(), regression()], ids=["classification", "regression"])
def test_a_folder_gives_back_what_was_written(made: FeatureDataset, tmp_path: Path) -> None:
    write_dataset(made, tmp_path / "one")
    assert_equal(made, read_dataset(tmp_path / "one"))
    write_dataset(made, tmp_path / "other")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


def test_levels_are_kept_in_a_byte_each(tmp_path: Path) -> None:
    made = dataset()
    levels = replace(made.train, features=np.array([[0, 255]] * 6, np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_dataset(replace(made, train=levels), tmp_path / "data")
    assert np.load(tmp_path / "data" / "train.npz")["features"].dtype == np.uint8
    assert np.load(tmp_path / "data" / "valid.npz")["features"].dtype == np.float32
    assert_equal(replace(made, train=levels), read_dataset(tmp_path / "data"))


def test_sequences_and_selections() -> None:
    whole = split([3, 1, 2], [0, 1, 1], [7, 8, 8])
    assert (whole.sequences, whole.frames, whole.lengths.tolist()) == (3, 6, [3, 1, 2])
    assert np.array_equal(whole.sequence(2), whole.features[4:])
    some = whole.select(np.array([2, 0]))
    assert np.array_equal(some.features, whole.features[[4, 5, 0, 1, 2]])
    assert (some.offsets.tolist(), np.asarray(some.labels).tolist(), np.asarray(some.groups).tolist()) == ([0, 2, 5], [1, 0], [8, 7])
    framewise = split([3, 1, 2]).select(np.array([1, 2]))
    assert np.array_equal(np.asarray(framewise.targets), framewise.features[:, :1] * 2)
    with pytest.raises(UserError, match="split 'dev' does not exist"):
        dataset().split("dev")


def test_whole_groups_are_held_out_evenly() -> None:
    groups = [5, 3, 1, 4, 2, 0] * 10
    stays, held = hold_out(split([1] * 60, [0, 1] * 30, groups), 0.3)
    assert sorted(set(np.asarray(held.groups).tolist())) == [1, 4]
    assert not set(np.asarray(stays.groups).tolist()) & set(np.asarray(held.groups).tolist())
    assert (stays.sequences, held.sequences) == (40, 20)


def test_without_groups_each_class_is_held_out_in_its_share() -> None:
    whole = split([1] * 110, [0] * 20 + [1] * 80 + [2] * 9 + [3])
    stays, held = hold_out(whole, 0.1)
    assert np.bincount(np.asarray(held.labels), minlength=4).tolist() == [2, 8, 1, 0]  # the only one of its class stays
    assert np.bincount(np.asarray(stays.labels), minlength=4).tolist() == [18, 72, 8, 1]
    both = np.concatenate([stays.features, held.features])
    assert np.array_equal(np.unique(both, axis=0), np.unique(whole.features, axis=0))
    assert hold_out(split([2] * 10), 0.2)[1].sequences == 2


@pytest.mark.parametrize(
    ("whole", "share", "said"),
    [
        (split([1] * 4, [0, 1, 0, 1], [3] * 4), 0.1, "leave nothing to validate on"),
        (split([1, 1], [0, 1]), 0.5, "leave nothing to validate on"),
        (split([1] * 4, [0] * 4), 0.0, "is not between 0 and 1"),
        (split([1] * 4, [0] * 4), float("nan"), "is not between 0 and 1"),
    ],
)
def test_what_cannot_be_held_out(whole: FeatureSplit, share: float, said: str) -> None:
    with pytest.raises(UserError, match=said):
        hold_out(whole, share)


SPOILT: dict[str, tuple[dict[str, Any], str]] = {
    "a NaN": (
        {"features": np.array([[0, 1]] * 4 + [[0, np.nan]] + [[0, 1]], np.float32)},
        "right = nan in frame 0 of sequence 2 of the train",
    ),
    "infinity": (
        {"features": np.array([[np.inf, 1]] + [[0, 1]] * 5, np.float32)},
        "left = inf in frame 0 of sequence 0 of the train split",
    ),
    "another width": ({"features": np.zeros((6, 3), np.float32)}, r"of shape \(6, 3\) are not float32 \(frames, 2\)"),
    "another type": ({"features": np.zeros((6, 2))}, "float64 of shape"),
    "an empty sequence": ({"offsets": np.array([0, 3, 3, 6])}, "sequence 1 of the train split of two sensors has no frames"),
    "no sequence": ({"offsets": np.array([0])}, "has no sequences"),
    "lengths that do not add up": ({"offsets": np.array([0, 3, 4, 5])}, "take 5 frames of 6"),
    "a label too large": ({"labels": np.array([0, 2, 1])}, "label 2 of sequence 1 of the train split of two sensors is none of 2"),
    "a negative label": ({"labels": np.array([0, 1, -1])}, "label -1 of sequence 2"),
    "too few labels": ({"labels": np.array([0, 1])}, r"of shape \(2,\) are not int64 \(3,\)"),
    "no labels": ({"labels": None}, "has no labels"),
    "targets too": ({"targets": np.zeros((6, 1), np.float32)}, "or targets beside them"),
    "too few groups": ({"groups": np.array([1])}, "groups of the train split"),
    "groups missing": ({"groups": None}, "are in some splits only"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_split_that_is_not_sound_is_refused(case: str) -> None:
    changes, said = SPOILT[case]
    made = dataset()
    with pytest.raises(UserError, match=said):
        replace(made, train=replace(made.train, **changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"class_names": ("up",)}, "1 classes, 0 targets"),
        ({"class_names": ()}, "0 classes, 0 targets"),
        ({"target_names": ("speed",)}, "2 classes, 1 targets"),
        ({"class_names": ("up", "up")}, "class name 'up' of two sensors stands there twice"),
        ({"feature_names": ("left", "left")}, "feature name 'left'"),
        ({"feature_names": ("left", "")}, "is not 1 to 200 signs"),
        ({"feature_names": ("left", "\ud800")}, "is not 1 to 200 signs"),
        ({"name": "a\x1b[31m"}, "is not 1 to 200 signs"),
        ({"name": "x" * (MAX_NAME + 1)}, "is not 1 to 200 signs"),
        ({"frame_rate": 0.0}, "frame rate 0.0"),
        ({"frame_rate": float("nan")}, "frame rate nan"),
    ],
)
def test_names_that_do_not_fit(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        dataset(**changes)


def test_targets_that_are_not_sound() -> None:
    made = regression()
    with pytest.raises(UserError, match=r"float32 of shape \(5, 2\) are not float32 \(5, 1\)"):
        replace(made, train=replace(made.train, targets=np.zeros((5, 2), np.float32)))
    with pytest.raises(UserError, match="speed = nan in frame 1 of sequence 1"):
        replace(made, train=replace(made.train, targets=np.array([[0], [0], [0], [0], [np.nan]], np.float32)))
    with pytest.raises(UserError, match="has no targets"):
        replace(made, train=replace(made.train, targets=None))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_dataset(dataset(), tmp_path / "data")
    return tmp_path / "data"


def rewrite(folder: Path, **arrays: Any) -> None:
    """Put another training file there, and the hash that fits."""
    np.savez(folder / "train.npz", **arrays)
    description = json.loads((folder / DATASET_FILE).read_text())
    description["files"]["train.npz"] = hashlib.sha256((folder / "train.npz").read_bytes()).hexdigest()
    (folder / DATASET_FILE).write_text(json.dumps(description))


FEATURES, LENGTHS, LABELS, GROUPS = np.zeros((6, 2), np.float32), np.array([3, 1, 2]), np.array([0, 1, 1]), np.array([7, 8, 8])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"lengths": np.array([3, 1, 1])}, "add up to 5 frames of 6"),
        ({"lengths": np.array([3, 0, 3])}, "length 0 of sequence 1"),
        ({"lengths": np.array([3, -3, 6])}, "length -3 of sequence 1"),
        ({"lengths": np.array([1 << 63] * 2, np.uint64)}, "length -9223372036854775808 of sequence 0"),
        ({"lengths": np.array([3.0, 1.0, 2.0])}, "is not integers in 1 dimensions"),
        ({"lengths": np.array([[3, 1, 2]])}, "is not integers in 1 dimensions"),
        ({"labels": np.array(["up", "down", "up"])}, "is not integers in 1 dimensions"),
        ({"features": np.zeros(12)}, "is not real numbers in 2 dimensions"),
        ({"features": np.full((6, 2), 1e300)}, "left = inf in frame 0 of sequence 0"),
        ({"extra": np.zeros(2)}, "array 'extra'"),
        ({"features": None}, "holds no array 'features'"),
        ({"lengths": None}, "holds no array 'lengths'"),
    ],
)
def test_arrays_that_do_not_fit(folder: Path, arrays: dict[str, Any], said: str) -> None:
    given = {"features": FEATURES, "lengths": LENGTHS, "labels": LABELS, "groups": GROUPS} | arrays
    rewrite(folder, **{name: values for name, values in given.items() if values is not None})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserError, match=said):
            read_dataset(folder)


def test_any_number_type_is_read(folder: Path) -> None:
    rewrite(folder, features=FEATURES.astype(np.int8) + 1, lengths=LENGTHS.astype(np.uint8), labels=LABELS.astype(">i4"), groups=GROUPS)
    found = read_dataset(folder).train
    assert (found.features == 1).all()
    assert found.offsets.tolist() == [0, 3, 4, 6]


def test_damaged_folders(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no dataset\.json"):
        read_dataset(tmp_path)
    with pytest.raises(UserError, match="already holds results"):
        write_dataset(dataset(), folder)
    description = json.loads((folder / DATASET_FILE).read_text())

    def refused(**changes: Any) -> str:
        (folder / DATASET_FILE).write_text(json.dumps({key: value for key, value in (description | changes).items() if value is not ...}))
        with pytest.raises(UserError) as raised:
            read_dataset(folder)
        return str(raised.value)

    assert "is of version 2, and this release reads 1" in refused(version=2)
    assert "key 'format'" in refused(format="other")
    assert "key 'clases'" in refused(clases=["up"])
    assert "key 'features' in" in refused(features=...)
    assert "does not name train.npz, valid.npz, test.npz and nothing else" in refused(files={"../train.npz": "0" * 64})
    assert "is not the one that dataset.json describes" in refused(files=description["files"] | {"test.npz": "0" * 64})
    assert "frame rate" in refused(frame_rate=-1.0)
    assert "of shape (6, 2) are not float32 (frames, 3)" in refused(features=["a", "b", "c"])
    (folder / DATASET_FILE).write_text(json.dumps(description))
    (folder / "valid.npz").unlink()
    with pytest.raises(UserError, match=r"valid\.npz does not exist"):
        read_dataset(folder)


def test_the_front_end_is_kept_where_it_is_known(tmp_path: Path) -> None:
    made = dataset()
    write_dataset(made, tmp_path / "without")
    assert "front_end" not in json.loads((tmp_path / "without" / DATASET_FILE).read_text())
    assert read_dataset(tmp_path / "without").front_end is None
    config = LogMelConfig(bands=2, hop=200, low_hz=55.5)
    write_dataset(replace(made, front_end=config), tmp_path / "with")
    assert read_dataset(tmp_path / "with").front_end == config
    with pytest.raises(UserError, match="does not give the 2 features"):
        replace(made, front_end=LogMelConfig())
    text = (tmp_path / "with" / DATASET_FILE).read_text()
    (tmp_path / "with" / DATASET_FILE).write_text(text.replace('"hop": 200', '"hop": 0'))
    with pytest.raises(UserError, match="hop=0 is outside 1 to 480"):
        read_dataset(tmp_path / "with")
