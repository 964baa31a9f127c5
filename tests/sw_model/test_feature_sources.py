import os
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sw_model.errors import UserError
from sw_model.feature_dataset import FeatureDataset, FeatureSplit, write_dataset
from sw_model.feature_sources import DIGITS_TEXTS, import_commands, import_digits, load_features, shared_groups
from sw_model.linear_baseline import linear_baseline
from sw_model.log_mel import LogMelConfig

SPEAKERS = {"train": 5, "test": 2}


def speakers(split: FeatureSplit) -> set[int]:
    assert split.groups is not None
    return set(split.groups.tolist())


def digits_arrays() -> dict[str, Any]:
    """The layout of the stored digits; the first coefficient is the speaker, the second the digit, the third the utterance."""
    arrays: dict[str, Any] = {"scale": np.float32(0.5)}
    rng = np.random.default_rng(3)
    for name, count in SPEAKERS.items():
        about = [(speaker, digit, utterance) for digit in range(10) for speaker in range(count) for utterance in range(10)]
        lengths = rng.integers(1, 4, len(about))
        frames = np.repeat(np.array(about), lengths, axis=0)
        arrays[f"feat_{name}"] = np.hstack([frames, np.zeros((len(frames), 10))]).astype(np.int16) * 2
        arrays[f"offset_{name}"] = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        arrays[f"y_{name}"] = np.array([digit for _, digit, _ in about], np.uint8)
    return arrays


def commands_arrays() -> dict[str, Any]:
    arrays: dict[str, Any] = {"classes": np.array(["go", "stop"])}
    for number, name in enumerate(("train", "val", "test")):
        arrays[f"x_{name}"] = np.full((4, 3, 2), number, np.uint8)
        arrays[f"y_{name}"] = np.array([0, 1, 1, 0], np.uint8)
        arrays[f"speaker_{name}"] = np.array([1, 1, 2, 2], np.uint8) + 2 * number
    return arrays


def save(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path, **{name: values for name, values in arrays.items() if values is not None})
    return path


def texts(folder: Path) -> Path:
    """The same utterances as the texts of the UCI repository: a blank line before each."""
    arrays = digits_arrays()
    for name, file in DIGITS_TEXTS.items():
        offsets, features = arrays[f"offset_{name}"], arrays[f"feat_{name}"] / 2
        blocks = ["\n".join(" ".join(f"{value:g}" for value in frame) for frame in features[a:b]) for a, b in pairwise(offsets)]
        (folder / file).write_text("".join(f"            \n{block}\n" for block in blocks))
    return folder


@pytest.fixture(params=["npz", "texts"])
def digits(request: pytest.FixtureRequest, tmp_path: Path) -> FeatureDataset:
    return import_digits(save(tmp_path / "a.npz", digits_arrays()) if request.param == "npz" else texts(tmp_path), 0.4)


def test_no_speaker_of_the_digits_is_in_two_splits(digits: FeatureDataset) -> None:
    assert [speakers(split) for split in (digits.train, digits.valid, digits.test)] == [{0, 2, 4}, {1, 3}, {5, 6}]
    assert shared_groups(digits) == []
    for split, first in ((digits.train, 0), (digits.valid, 0), (digits.test, SPEAKERS["train"])):
        assert split.groups is not None
        assert split.labels is not None
        for index in range(split.sequences):  # what stands in the frames is what is said of them
            assert (split.sequence(index)[:, 0] == split.groups[index] - first).all()
            assert (split.sequence(index)[:, 1] == split.labels[index]).all()
        assert np.bincount(split.labels).tolist() == [10 * len(speakers(split))] * 10


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scale": None}, "holds no number 'scale'"),
        ({"scale": np.float32("nan")}, "mfcc1 = nan in frame 0"),
        ({"feat_test": None}, "holds no array 'feat_test'"),
        ({"feat_train": np.zeros((9, 13), np.int16)}, "frames"),
        ({"offset_train": np.arange(1, 502)}, "offset_train in .* does not begin with 0"),
        ({"offset_train": np.zeros(501, np.int64)}, "length 0 of sequence 0"),
        ({"y_train": np.arange(500) % 10}, "is not 10 digits one after the other, 10 utterances from each speaker"),
        ({"y_train": np.arange(10)}, "is not 10 digits one after the other"),
    ],
)
def test_digits_in_another_layout(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        import_digits(save(tmp_path / "a.npz", digits_arrays() | changes))


def test_digits_in_damaged_texts(tmp_path: Path) -> None:
    texts(tmp_path)
    path = tmp_path / DIGITS_TEXTS["train"]
    whole = path.read_text()
    for text, said in (
        (whole.replace(" 0\n", "\n", 1), "line 2 of .* has 12 numbers, not 13"),
        (whole.replace("0", "x", 1), "line 2 of .* holds what is no number"),
        (whole[: whole.rindex("            ")], "499 utterances in .* are not as many of each of 10 digits"),
        ("", "0 utterances"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=said):
            import_digits(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match=r"Train_Arabic_Digit\.txt does not exist"):
        import_digits(tmp_path)


def test_commands_keep_their_own_split(tmp_path: Path) -> None:
    found = import_commands(save(tmp_path / "a.npz", commands_arrays()))
    assert found.front_end is None  # no bytes of 49 frames and 40 bands
    assert (found.class_names, found.feature_names, found.frame_rate) == (("go", "stop"), ("band0", "band1"), 50.0)
    assert [set(split.features.ravel().tolist()) for split in (found.train, found.valid, found.test)] == [{0.0}, {1.0}, {2.0}]
    assert [speakers(split) for split in (found.train, found.valid, found.test)] == [{1, 2}, {3, 4}, {5, 6}]
    assert found.train.lengths.tolist() == [3] * 4
    assert "CC BY 4.0" in found.source


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"speaker_test": np.array([5, 5, 2, 6])}, "speaker 2 in .* is in more than one split"),
        ({"speaker_val": None}, "holds no array 'speaker_val'"),
        ({"speaker_val": np.array([3, 4])}, "groups of the valid split"),
        ({"classes": None}, "holds no list of 'classes'"),
        ({"classes": np.arange(2)}, "holds no list of 'classes'"),
        ({"classes": np.array(["go"])}, "1 classes"),
        ({"y_train": np.array([0, 1, 2, 0])}, "label 2 of sequence 2 of the train split"),
        ({"x_val": np.zeros((4, 3, 3), np.uint8)}, r"are not float32 \(frames, 2\)"),
        ({"x_val": np.zeros((4, 6), np.uint8)}, "is not real numbers in 3 dimensions"),
    ],
)
def test_commands_in_another_layout(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        import_commands(save(tmp_path / "a.npz", commands_arrays() | changes))


@pytest.mark.parametrize("keep", [0, 1, 500, -100, -1])
def test_files_that_are_cut(tmp_path: Path, keep: int) -> None:
    file = BytesIO()
    np.savez(file, **commands_arrays())
    (tmp_path / "a.npz").write_bytes(file.getvalue()[:keep])
    for load in (import_commands, import_digits):
        with pytest.raises(UserError, match="cannot be read"):
            load(tmp_path / "a.npz")


def test_sources_by_name(tmp_path: Path, digits: FeatureDataset) -> None:
    write_dataset(digits, tmp_path / "digits")
    assert load_features(tmp_path / "digits").name == "spoken-arabic-digits"
    assert load_features("generated").name == "generated"
    with pytest.raises(UserError, match="or generated"):
        load_features("nowhere")


def stored(name: str) -> Path:
    path = Path(os.environ.get("EGRU_DATA", "")) / name
    if "EGRU_DATA" not in os.environ or not path.is_file():
        pytest.skip(f"EGRU_DATA does not name a folder with {name} in it")
    return path


def test_the_published_digits() -> None:
    found = import_digits(stored("spoken_arabic_digits/sad_mfcc13_q11.npz"))
    assert [len(speakers(split)) for split in (found.train, found.valid, found.test)] == [56, 10, 22]
    assert shared_groups(found) == []
    assert [split.sequences for split in (found.train, found.valid, found.test)] == [5600, 1000, 2200]
    assert linear_baseline(found, 6).test == pytest.approx(0.940, abs=0.003)


def test_the_published_commands() -> None:
    found = import_commands(stored("arabic_speech_commands/asc_logmel40_20ms_u8.npz"))
    assert found.front_end == LogMelConfig()
    assert [len(speakers(split)) for split in (found.train, found.valid, found.test)] == [18, 6, 6]
    assert [split.sequences for split in (found.train, found.valid, found.test)] == [7200, 2400, 2400]
    assert linear_baseline(found, 8).test == pytest.approx(0.67, abs=0.01)
