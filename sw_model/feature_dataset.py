"""Sequences of feature vectors with a class for each sequence or targets for each frame; and the folder that keeps them.

docs/streams.md describes the folder: ``dataset.json`` with names and the SHA-256 of ``train.npz``, ``valid.npz`` and ``test.npz``.
"""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from sw_model.datasets import SPLITS
from sw_model.errors import UserError
from sw_model.front_end import FrontEnd
from sw_model.input_file import read_bytes, read_json
from sw_model.log_mel import LogMelConfig
from sw_model.npz_file import read_arrays
from sw_model.output_folder import staged_folder
from sw_model.strict_toml import StrictModel, validate

Task = Literal["classification", "regression"]

DATASET_FILE = "dataset.json"
VERSION = 1
#: Of a split's file, packed and unpacked.
MAX_SPLIT_BYTES = 1 << 30
#: Share of the training sequences, or of its groups, that becomes the validation split where a data set has none.
VALID_SHARE = 0.15
REMEDY = "import or generate the data set again"
MEND = "mend the data"
#: Features, classes or targets; and the letters of a name.
MAX_NAMES, MAX_NAME = 1 << 16, 200

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


class _Description(StrictModel):
    """What `DATASET_FILE` holds."""

    format: Literal["egru-feature-dataset"]
    version: int
    name: Name
    task: Task
    features: list[Name]
    classes: list[Name]
    targets: list[Name]
    frame_rate: float | None
    source: str
    files: dict[str, str]
    front_end: FrontEnd | None = None


@dataclass(frozen=True)
class FeatureSplit:
    """Sequences of frames, one after the other.

    Attributes:
        features: float32, shape (frames of all sequences, features).
        offsets: Where each sequence begins, and at last where the last one ends, int64, shape (sequences + 1,).
        labels: Class of each sequence, int64, shape (sequences,); None for regression.
        targets: What each frame is to give, float32, shape (frames, targets); None for classification.
        groups: Who or what each sequence is from, e.g. a speaker, int64, shape (sequences,); None where that is not known.
    """

    features: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray | None = None
    targets: np.ndarray | None = None
    groups: np.ndarray | None = None

    @property
    def sequences(self) -> int:
        """Number of sequences."""
        return len(self.offsets) - 1

    @property
    def frames(self) -> int:
        """Number of frames of all sequences."""
        return len(self.features)

    @property
    def lengths(self) -> np.ndarray:
        """Frames of each sequence, int64, shape (sequences,)."""
        return np.diff(self.offsets)

    def sequence(self, index: int) -> np.ndarray:
        """Return a view of one sequence, shape (its frames, features)."""
        return self.features[self.offsets[index] : self.offsets[index + 1]]

    def select(self, indices: np.ndarray) -> "FeatureSplit":
        """Return the sequences of these indices, in their order."""
        lengths = self.lengths[indices]
        offsets = offsets_of(lengths)
        # Frame i of the result is frame i - (where its sequence begins there) + (where it begins here).
        frames = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][indices] - offsets[:-1], lengths)
        labels, groups = (None if values is None else values[indices] for values in (self.labels, self.groups))
        return FeatureSplit(self.features[frames], offsets, labels, None if self.targets is None else self.targets[frames], groups)


@dataclass(frozen=True)
class FeatureDataset:
    """A task on sequences of features, with its three splits.

    Attributes:
        name: For reports.
        task: A class for each sequence, or targets for each frame.
        train: What a network learns from, and what every statistic is taken from.
        valid: What training is steered by.
        test: What is reported.
        feature_names: One for each feature.
        class_names: One for each class; empty for regression.
        target_names: One for each target; empty for classification.
        frame_rate: Frames per second; None where that is not known.
        source: Where the data is from, its licence, whom to name.
        front_end: What made the features from sound; None where that is not known, or there is none.

    Raises:
        UserError: When shapes, types, lengths, labels or names do not fit together, a sequence is empty, or a number is not finite.
    """

    name: str
    task: Task
    train: FeatureSplit
    valid: FeatureSplit
    test: FeatureSplit
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    frame_rate: float | None = None
    source: str = ""
    front_end: LogMelConfig | None = None

    def __post_init__(self) -> None:
        """Check everything that the rest may lean on."""
        if self.frame_rate is not None and not 0 < self.frame_rate < np.inf:
            raise UserError(f"frame rate {self.frame_rate} of {self.name}", "is not above 0", "give frames per second")
        wanted, idle = (self.class_names, self.target_names)[:: 1 if self.task == "classification" else -1]
        if idle or len(wanted) < (2 if self.task == "classification" else 1):
            rule = f"do not make a {self.task}: {len(self.class_names)} classes, {len(self.target_names)} targets"
            raise UserError(f"names of {self.name}", rule, "give two or more classes, or one or more targets, never both")
        if self.front_end is not None and self.front_end.bands != len(self.feature_names):
            rule = f"does not give the {len(self.feature_names)} features"
            raise UserError(f"front end of {self.front_end.bands} bands of {self.name}", rule, MEND)
        for kind, names in (
            ("feature", self.feature_names),
            ("class" if self.class_names else "target", wanted),
            ("data set", (self.name,)),
        ):
            _require_names(kind, names, self.name)
        for split in SPLITS:
            self._require_sound(self.split(split), f"{split} split of {self.name}")
        if len({self.split(split).groups is None for split in SPLITS}) > 1:
            raise UserError(f"groups of {self.name}", "are in some splits only", "give them in all splits or in none")

    def split(self, name: str) -> FeatureSplit:
        """Return the split ``train``, ``valid`` or ``test``."""
        if name not in SPLITS:
            raise UserError(f"split {name!r}", "does not exist", f"choose one of {', '.join(SPLITS)}")
        split: FeatureSplit = getattr(self, name)
        return split

    def digest(self) -> str:
        """Return an SHA-256 over names and arrays of all splits, 64 hexadecimal digits: the same of the same data, however it is packed."""
        names = [self.name, self.task, list(self.feature_names), list(self.class_names), list(self.target_names)]
        found = hashlib.sha256(json.dumps(names).encode())
        for split in map(self.split, SPLITS):
            for values, kind in ((split.features, "<f4"), (split.offsets, "<i8"), (split.labels, "<i8"), (split.targets, "<f4")):
                if values is not None:
                    found.update(json.dumps(values.shape).encode())
                    found.update(np.ascontiguousarray(values, kind).data)
        return found.hexdigest()

    def _require_sound(self, split: FeatureSplit, what: str) -> None:
        features, offsets, width = split.features, split.offsets, len(self.feature_names)
        if features.ndim != 2 or features.shape[1] != width or not width or features.dtype != np.float32:
            raise UserError(
                f"features of the {what}, {features.dtype} of shape {features.shape}", f"are not float32 (frames, {width})", MEND
            )
        if offsets.ndim != 1 or len(offsets) < 2 or offsets.dtype != np.int64:
            raise UserError(f"the {what}", "has no sequences", "give each split some")
        if (short := np.flatnonzero(split.lengths < 1)).size:
            raise UserError(f"sequence {short[0]} of the {what}", "has no frames", "leave it out")
        if offsets[0] != 0 or offsets[-1] != split.frames:
            raise UserError(f"sequences of the {what}", f"take {offsets[-1]} frames of {split.frames}", MEND)
        _require_finite(split, features, what, self.feature_names)
        if split.groups is not None and (split.groups.shape != (split.sequences,) or split.groups.dtype != np.int64):
            raise UserError(f"groups of the {what}, shape {split.groups.shape}", f"are not int64 ({split.sequences},)", MEND)
        if self.task == "classification":
            self._require_labels(split, what)
        else:
            self._require_targets(split, what)

    def _require_labels(self, split: FeatureSplit, what: str) -> None:
        labels, classes = split.labels, len(self.class_names)
        if labels is None or split.targets is not None:
            raise UserError(f"the {what}", "has no labels, or targets beside them", "give one class for each sequence")
        if labels.shape != (split.sequences,) or labels.dtype != np.int64:
            raise UserError(f"labels of the {what}, {labels.dtype} of shape {labels.shape}", f"are not int64 ({split.sequences},)", MEND)
        if (wrong := np.flatnonzero((labels < 0) | (labels >= classes))).size:
            raise UserError(f"label {labels[wrong[0]]} of sequence {wrong[0]} of the {what}", f"is none of {classes} classes", MEND)

    def _require_targets(self, split: FeatureSplit, what: str) -> None:
        targets, shape = split.targets, (split.frames, len(self.target_names))
        if targets is None or split.labels is not None:
            raise UserError(f"the {what}", "has no targets, or labels beside them", "give targets for each frame")
        if targets.shape != shape or targets.dtype != np.float32:
            raise UserError(f"targets of the {what}, {targets.dtype} of shape {targets.shape}", f"are not float32 {shape}", MEND)
        _require_finite(split, targets, what, self.target_names)


def _require_names(kind: str, names: Sequence[str], dataset: str) -> None:
    if len(names) > MAX_NAMES:
        raise UserError(f"{len(names)} {kind} names of {dataset[:MAX_NAME]}", f"are more than {MAX_NAMES}", "use fewer")
    for name in names:
        if not 0 < len(name) <= MAX_NAME or any(unicodedata.category(sign) in ("Cc", "Cs") for sign in name):
            raise UserError(f"{kind} name {name[:MAX_NAME]!r}", f"is not 1 to {MAX_NAME} signs of text", "give another")
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise UserError(f"{kind} name {twice!r} of {dataset}", "stands there twice", "give each its own")


def _require_finite(split: FeatureSplit, values: np.ndarray, what: str, names: Sequence[str]) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        frame, column = np.argwhere(~finite)[0].tolist()
        index = int(np.searchsorted(split.offsets, frame, side="right")) - 1
        place = f"frame {frame - split.offsets[index]} of sequence {index} of the {what}"
        raise UserError(
            f"{names[column]} = {values[frame, column]} in {place}", "is not a finite number", "mend or leave out that sequence"
        )


def offsets_of(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return where sequences of these lengths begin, and where the last one ends, int64, shape (sequences + 1,)."""
    return np.concatenate([[0], np.cumsum(np.asarray(lengths, np.int64), dtype=np.int64)])


def hold_out(split: FeatureSplit, share: float = VALID_SHARE) -> tuple[FeatureSplit, FeatureSplit]:
    """Divide a split into one to train on and one to validate on, always the same way.

    Whole groups are held out where there are groups: none is in both parts. Otherwise sequences of each class. Both are taken evenly from
    the order in which they stand, so that what is sorted (by sex, by day) is held out in its proportion.

    Args:
        split: Both parts of it.
        share: Of the groups, or of the sequences of each class, 0 to 1; at least one is held out, and one stays.

    Returns:
        What stays and what is held out.

    Raises:
        UserError: When the share is out of range, or there are too few groups or sequences to divide.
    """
    if not 0 < share < 1:
        raise UserError(f"share {share} of the validation split", "is not between 0 and 1", f"use e.g. {VALID_SHARE}")
    if split.groups is not None:
        names = np.unique(split.groups)
        held = np.isin(split.groups, names[_spread(len(names), share)])
    else:
        held = np.zeros(split.sequences, np.bool_)
        kinds = np.zeros(split.sequences, np.int64) if split.labels is None else split.labels
        for kind in np.unique(kinds):
            members = np.flatnonzero(kinds == kind)
            held[members[_spread(len(members), share)]] = True
    if not held.any():
        rule = "leave nothing to validate on: one group, or one sequence of each class"
        raise UserError(f"{split.sequences} training sequences", rule, "give a validation split, or more data")
    return split.select(np.flatnonzero(~held)), split.select(np.flatnonzero(held))


def _spread(count: int, share: float) -> np.ndarray:
    chosen = min(max(round(share * count), 1), count - 1)
    return ((np.arange(chosen) + 0.5) * count / max(chosen, 1)).astype(np.int64)


def write_dataset(dataset: FeatureDataset, folder: Path, *, force: bool = False) -> None:
    """Write a data set as a folder; the same data set always gives the same bytes.

    Args:
        dataset: What to write.
        folder: Where to.
        force: Replace what is there.

    Raises:
        UserError: When ``folder`` holds something, and ``force`` is not given.
    """
    with staged_folder(folder, force=force) as staging:
        digests = {}
        for name in SPLITS:
            data = _packed(dataset.split(name))
            (staging / f"{name}.npz").write_bytes(data)
            digests[f"{name}.npz"] = hashlib.sha256(data).hexdigest()
        description = _Description(
            format="egru-feature-dataset",
            version=VERSION,
            name=dataset.name,
            task=dataset.task,
            features=list(dataset.feature_names),
            classes=list(dataset.class_names),
            targets=list(dataset.target_names),
            frame_rate=dataset.frame_rate,
            source=dataset.source,
            files=digests,
            front_end=None if dataset.front_end is None else FrontEnd.of(dataset.front_end),
        )
        absent = {"front_end"} if dataset.front_end is None else None
        (staging / DATASET_FILE).write_text(json.dumps(description.model_dump(exclude=absent), indent=2) + "\n")


def _packed(split: FeatureSplit) -> bytes:
    with np.errstate(invalid="ignore"):
        levels = split.features.astype(np.uint8)
    arrays = {"features": levels if np.array_equal(levels, split.features) else split.features, "lengths": split.lengths}
    optional = {"labels": split.labels, "targets": split.targets, "groups": split.groups}
    arrays |= {name: values for name, values in optional.items() if values is not None}
    file = BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def read_dataset(folder: Path) -> FeatureDataset:
    """Read what `write_dataset` wrote.

    Raises:
        UserError: When a file is missing, cut, too large or another than `DATASET_FILE` says, or the data set is not sound.
    """
    path = Path(folder) / DATASET_FILE
    if not path.is_file():
        raise UserError(f"folder {folder}", f"holds no {DATASET_FILE}", "give a folder that `egru data` wrote, or generated")
    given = read_json(path, "description", REMEDY)
    if isinstance(given, dict) and given.get("version", VERSION) != VERSION:
        rule = f"is of version {str(given.get('version'))[:20]}, and this release reads {VERSION}"
        raise UserError(f"description {path}", rule, "use the release that wrote it, or import the data set again")
    described = validate(given, _Description, str(path))
    files = [f"{name}.npz" for name in SPLITS]
    if sorted(described.files) != sorted(files):
        raise UserError(f"key 'files' in {path}", f"does not name {', '.join(files)} and nothing else", REMEDY)
    train, valid, test = (_read_split(Path(folder) / name, described.files[name]) for name in files)
    return FeatureDataset(
        name=described.name,
        task=described.task,
        train=train,
        valid=valid,
        test=test,
        feature_names=tuple(described.features),
        class_names=tuple(described.classes),
        target_names=tuple(described.targets),
        frame_rate=described.frame_rate,
        source=described.source,
        front_end=None if described.front_end is None else described.front_end.config(),
    )


def _read_split(path: Path, digest: str) -> FeatureSplit:
    what = f"file {path}"
    data = read_bytes(path, "file", REMEDY, MAX_SPLIT_BYTES)
    if hashlib.sha256(data).hexdigest() != digest:
        raise UserError(what, f"is not the one that {DATASET_FILE} describes", REMEDY)
    arrays = read_arrays(data, what, REMEDY, MAX_SPLIT_BYTES)
    if extra := sorted(set(arrays) - {"features", "lengths", "labels", "targets", "groups"}):
        raise UserError(f"array {extra[0][:80]!r} in {path}", "is not known", REMEDY)
    return FeatureSplit(
        features=real_array(arrays, "features", 2, what),
        offsets=checked_offsets(integer_array(arrays, "lengths", what), len(arrays["features"]), what),
        labels=integer_array(arrays, "labels", what) if "labels" in arrays else None,
        targets=real_array(arrays, "targets", 2, what) if "targets" in arrays else None,
        groups=integer_array(arrays, "groups", what) if "groups" in arrays else None,
    )


def real_array(arrays: dict[str, np.ndarray], name: str, dimensions: int, what: str) -> np.ndarray:
    """Return an array of a user's file as float32.

    Raises:
        UserError: When it is missing, has other dimensions, or is no array of real numbers.
    """
    values = _array(arrays, name, dimensions, "biuf", what)
    with np.errstate(over="ignore"):  # an infinity is refused where its frame can be named
        return np.ascontiguousarray(values, dtype=np.float32)


def integer_array(arrays: dict[str, np.ndarray], name: str, what: str) -> np.ndarray:
    """Return an array of a user's file as int64, shape (n,).

    Raises:
        UserError: When it is missing, has other dimensions, or is no array of integers.
    """
    return _array(arrays, name, 1, "iu", what).astype(np.int64)


def _array(arrays: dict[str, np.ndarray], name: str, dimensions: int, kinds: str, what: str) -> np.ndarray:
    if name not in arrays:
        raise UserError(what, f"holds no array {name!r}", REMEDY)
    values = arrays[name]
    if values.ndim != dimensions or values.dtype.kind not in kinds:
        rule = f"is not {'integers' if kinds == 'iu' else 'real numbers'} in {dimensions} dimensions"
        raise UserError(f"array {name!r} in {what}, {values.dtype} of shape {values.shape}", rule, REMEDY)
    return values


def checked_offsets(lengths: np.ndarray, frames: int, what: str) -> np.ndarray:
    """Return the offsets of sequences of these lengths.

    Raises:
        UserError: When a sequence is empty, or all of them are not ``frames`` frames.
    """
    if (wrong := np.flatnonzero((lengths < 1) | (lengths > frames))).size:
        raise UserError(f"length {lengths[wrong[0]]} of sequence {wrong[0]} in {what}", f"is not 1 to {frames} frames", REMEDY)
    offsets = offsets_of(lengths)
    if offsets[-1] != frames:
        raise UserError(f"lengths in {what}", f"add up to {offsets[-1]} frames of {frames}", REMEDY)
    return offsets
