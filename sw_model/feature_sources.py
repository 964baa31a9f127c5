"""Where feature data sets come from: published files, CSV, and the one that is made.

docs/streams.md says what each loader takes for granted of its files, whom to name, and under which licence they are.
"""

from collections import Counter
from itertools import groupby
from pathlib import Path

import numpy as np

from sw_model.csv_file import numbers
from sw_model.datasets import SPLITS
from sw_model.errors import UserError
from sw_model.feature_dataset import (
    VALID_SHARE,
    FeatureDataset,
    FeatureSplit,
    checked_offsets,
    hold_out,
    integer_array,
    offsets_of,
    read_dataset,
    real_array,
)
from sw_model.generated_features import GENERATED, generated_dataset
from sw_model.input_file import read_bytes, read_text
from sw_model.log_mel import LogMelConfig
from sw_model.npz_file import read_arrays
from sw_model.ts_file import TimeSeries, read_ts

MAX_NPZ_BYTES = 1 << 29
MAX_TEXT_BYTES = 1 << 26
DIGITS, UTTERANCES = 10, 10
DIGITS_TEXTS = {"train": "Train_Arabic_Digit.txt", "test": "Test_Arabic_Digit.txt"}
DIGITS_SOURCE = (
    "Spoken Arabic Digit, N. Hammami and M. Bedda, University of Badji-Mokhtar Annaba, 2008; UCI Machine Learning Repository, "
    "whose page of the data set states its terms"
)
COMMANDS_SOURCE = (
    "Arabic Speech Commands Dataset 1.0, A. Ghandoura, F. Hjabo and O. Al Dakkak 2021, under CC BY 4.0; log-mel frames computed from it"
)
COMMANDS_FRAME_RATE = 50.0
_LAYOUT = "give a file as docs/streams.md describes it"


def load_features(source: str | Path = GENERATED) -> FeatureDataset:
    """Return the data set of a name or folder.

    Args:
        source: ``generated`` for the one that is made, or a folder that `write_dataset` wrote.

    Raises:
        UserError: See `read_dataset`.
    """
    return generated_dataset() if str(source) == GENERATED else read_dataset(Path(source))


# Spoken Arabic Digits


def import_digits(path: Path, share: float = VALID_SHARE) -> FeatureDataset:
    """Read the Spoken Arabic Digits: 13 mel-frequency cepstral coefficients a frame, ten utterances of each digit from each speaker.

    Speakers are nowhere named. Their numbers, the groups, follow from the order that the data set's own description gives: digit by digit,
    in each of them speaker by speaker, the same speakers in each. Validation is whole speakers, held out of the training speakers.

    Args:
        path: The folder with `DIGITS_TEXTS`; or an NPZ file of integers with ``scale``, and for ``train`` and ``test`` each ``feat_*``,
            ``offset_*`` and ``y_*``.
        share: Of the training speakers, for validation.

    Raises:
        UserError: When a file is missing or damaged, or not in that order.
    """
    whole = _digits_of_texts(path) if path.is_dir() else _digits_of_npz(path)
    speakers, first = {}, 0
    for name, split in whole.items():
        speakers[name] = _with_speakers(split, first, f"{name} split of {path}")
        first += split.sequences // (DIGITS * UTTERANCES)
    train, valid = hold_out(speakers["train"], share)
    return FeatureDataset(
        name="spoken-arabic-digits",
        task="classification",
        train=train,
        valid=valid,
        test=speakers["test"],
        feature_names=tuple(f"mfcc{number + 1}" for number in range(train.features.shape[1])),
        class_names=tuple(map(str, range(DIGITS))),
        source=DIGITS_SOURCE,
    )


def _digits_of_npz(path: Path) -> dict[str, FeatureSplit]:
    arrays, what = _arrays(path)
    if "scale" not in arrays or arrays["scale"].shape or arrays["scale"].dtype.kind != "f":
        raise UserError(what, "holds no number 'scale'", _LAYOUT)
    splits = {}
    for name in DIGITS_TEXTS:
        features = real_array(arrays, f"feat_{name}", 2, what) * np.float32(arrays["scale"])
        offsets = integer_array(arrays, f"offset_{name}", what)
        if offsets[0] != 0:
            raise UserError(f"offset_{name} in {what}", "does not begin with 0", _LAYOUT)
        offsets = checked_offsets(np.diff(offsets), len(features), what)
        splits[name] = FeatureSplit(features, offsets, labels=integer_array(arrays, f"y_{name}", what))
    return splits


def _digits_of_texts(folder: Path) -> dict[str, FeatureSplit]:
    splits = {}
    for name, file in DIGITS_TEXTS.items():
        path = folder / file
        remedy = f"give the folder with {' and '.join(DIGITS_TEXTS.values())} of the UCI repository"
        lines = enumerate(read_text(path, "text", remedy, MAX_TEXT_BYTES).split("\n"), 1)
        blocks = [list(block) for filled, block in groupby(lines, lambda line: bool(line[1].strip())) if filled]
        if len(blocks) < DIGITS or len(blocks) % DIGITS:
            raise UserError(f"{len(blocks)} utterances in {path}", f"are not as many of each of {DIGITS} digits", remedy)
        rows = [numbers(line.split(), 13, f"line {number} of {path}") for block in blocks for number, line in block]
        labels = np.arange(len(blocks)) // (len(blocks) // DIGITS)
        splits[name] = FeatureSplit(np.array(rows, np.float32), offsets_of([len(block) for block in blocks]), labels=labels)
    return splits


def _with_speakers(split: FeatureSplit, first: int, what: str) -> FeatureSplit:
    portion = split.sequences // DIGITS
    digits = np.arange(split.sequences) // max(portion, 1)
    if portion < 1 or split.sequences % (DIGITS * UTTERANCES) or split.labels is None or not np.array_equal(split.labels, digits):
        rule = f"is not {DIGITS} digits one after the other, {UTTERANCES} utterances from each speaker, as many speakers for each"
        raise UserError(f"the {what}", rule, "give the data set in its published order")
    groups = first + np.arange(split.sequences) % portion // UTTERANCES
    return FeatureSplit(split.features, split.offsets, labels=split.labels, groups=groups)


# Arabic Speech Commands


def import_commands(path: Path) -> FeatureDataset:
    """Read log-mel frames of the Arabic Speech Commands: 40 keywords, with the data set's own split, which no speaker crosses.

    Args:
        path: An NPZ file with ``classes``, and for ``train``, ``val`` and ``test`` each ``x_*`` (clips, frames, bands), ``y_*`` and
            ``speaker_*``.

    Raises:
        UserError: When the file is missing, damaged or has another layout, or a speaker is in two splits.
    """
    arrays, what = _arrays(path)
    classes = arrays.get("classes")
    if classes is None or classes.dtype.kind != "U" or classes.ndim != 1:
        raise UserError(what, "holds no list of 'classes'", _LAYOUT)
    splits = {}
    for name, key in zip(SPLITS, ("train", "val", "test"), strict=True):
        clips = real_array(arrays, f"x_{key}", 3, what)
        count, frames, bands = clips.shape
        labels, groups = (integer_array(arrays, f"{kind}_{key}", what) for kind in ("y", "speaker"))
        splits[name] = FeatureSplit(clips.reshape(-1, bands), offsets_of(np.full(count, frames)), labels=labels, groups=groups)
    dataset = FeatureDataset(
        name="arabic-speech-commands",
        task="classification",
        train=splits["train"],
        valid=splits["valid"],
        test=splits["test"],
        feature_names=tuple(f"band{number}" for number in range(splits["train"].features.shape[1])),
        class_names=tuple(map(str, classes.tolist())),
        frame_rate=COMMANDS_FRAME_RATE,
        source=COMMANDS_SOURCE,
        front_end=_front_end_of_commands(arrays),
    )
    if shared := shared_groups(dataset):
        raise UserError(f"speaker {shared[0]} in {what}", "is in more than one split", "give the data set with its own split")
    return dataset


def _front_end_of_commands(arrays: dict[str, np.ndarray]) -> LogMelConfig | None:
    """Return the front end of bytes that are shaped as it makes them of one second: docs/audio_front_end.md compares the two."""
    config, clips = LogMelConfig(), [arrays[f"x_{key}"] for key in ("train", "val", "test")]
    shape = (config.frames(config.sample_rate), config.bands)
    return config if all(clip.dtype == np.uint8 and clip.shape[1:] == shape for clip in clips) else None


def shared_groups(dataset: FeatureDataset) -> list[int]:
    """Return the groups that are in more than one split, sorted."""
    groups = [dataset.split(name).groups for name in SPLITS]
    counts = Counter(group for one in groups if one is not None for group in np.unique(one).tolist())
    return sorted(group for group, splits in counts.items() if splits > 1)


def _arrays(path: Path) -> tuple[dict[str, np.ndarray], str]:
    what = f"file {path}"
    return read_arrays(read_bytes(path, "file", "check the path", MAX_NPZ_BYTES), what, _LAYOUT, MAX_NPZ_BYTES), what


# Time series of the UCR and UEA archives


def import_ts(train: Path, test: Path, share: float = VALID_SHARE, frame_rate: float | None = None) -> FeatureDataset:
    """Read a classification problem of the UCR or UEA archive; validation is held out of each class of the training file.

    Args:
        train: ``NAME_TRAIN.ts``.
        test: ``NAME_TEST.ts``.
        share: Of the training sequences of each class, for validation.
        frame_rate: Frames per second, which the files do not say.

    Raises:
        UserError: See `read_ts`; or when the two files are not of one problem.
    """
    first, second = read_ts(train), read_ts(test)
    if set(first.class_names) != set(second.class_names) or first.dimensions != second.dimensions:
        raise UserError(f"{train} and {test}", "differ in classes or dimensions", "give the two files of one problem")
    stays, held = hold_out(_ts_split(first, first.class_names), share)
    return FeatureDataset(
        name=first.name,
        task="classification",
        train=stays,
        valid=held,
        test=_ts_split(second, first.class_names),
        feature_names=tuple(f"dimension{number}" for number in range(first.dimensions)),
        class_names=first.class_names,
        frame_rate=frame_rate,
        source=f"{first.name} of the UCR and UEA archives, https://www.timeseriesclassification.com; its page there names its authors",
    )


def _ts_split(series: TimeSeries, class_names: tuple[str, ...]) -> FeatureSplit:
    index = [class_names.index(name) for name in series.class_names]
    labels = np.array([index[label] for label in series.labels], np.int64)
    return FeatureSplit(np.concatenate(series.sequences), offsets_of([len(sequence) for sequence in series.sequences]), labels=labels)
