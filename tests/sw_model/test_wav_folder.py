import wave
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from sw_model.errors import UserError
from sw_model.log_mel import LogMelConfig, log_mel
from sw_model.wav_file import read_wav
from sw_model.wav_folder import list_clips, load_wav_folder

CONFIG = LogMelConfig(sample_rate=8000, window=40, hop=20, fft=64, bands=5, low_hz=100.0, high_hz=3500.0)


def write_clips(folder: Path, files: Mapping[str, int]) -> None:
    """Write noise of so many samples to each file."""
    for seed, (file, samples) in enumerate(files.items()):
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as writer:
            writer.setparams((1, 2, CONFIG.sample_rate, 0, "NONE", "NONE"))
            writer.writeframes(np.random.default_rng(seed).integers(-9999, 9999, samples).astype("<i2").tobytes())


CSV_CLIPS = {
    "train": ("b/00000030_NO_01", "a/00000030_NO_02", "b/00000004_NO_01"),
    "val": ("a/00000002_NO_01",),
    "test": ("b/00000014_NO_10",),
}
LENGTHS = (59, 60, 100, 40, 79)


@pytest.fixture
def with_csv(tmp_path: Path) -> Path:
    """As Arabic Speech Commands is published."""
    folder = tmp_path / "words"
    names = [name for split in CSV_CLIPS.values() for name in split]
    write_clips(folder, {f"dataset/{name}.wav": length for name, length in zip(names, LENGTHS, strict=True)})
    for split, listed in CSV_CLIPS.items():
        (folder / f"{split}.csv").write_text("file,class\n" + "".join(f"dataset/{name}.wav,word {name[0]}\n" for name in listed))
    return folder


@pytest.fixture
def with_lists(tmp_path: Path) -> Path:
    """As Google Speech Commands is published."""
    folder = tmp_path / "speech_commands"
    words = ("no/00ff_nohash_1.wav", "no/00ff_nohash_0.wav", "yes/00ff_nohash_0.wav", "no/aa01_nohash_0.wav", "yes/0b0b_nohash_4.wav")
    write_clips(folder, dict.fromkeys((*words, "_background_noise_/tap.wav"), 60))
    (folder / "README.md").write_text("words")
    (folder / "no" / "notes.txt").write_text("no sound")
    (folder / "validation_list.txt").write_text("no/aa01_nohash_0.wav\n")
    (folder / "testing_list.txt").write_text("yes/0b0b_nohash_4.wav\r\n\n")
    return folder


def test_clips_of_csv_files_become_sequences(with_csv: Path) -> None:
    done: list[tuple[int, int]] = []
    data = load_wav_folder(with_csv, CONFIG, advance=lambda clips, total: done.append((clips, total)))
    assert (data.name, data.task, data.class_names, data.frame_rate) == ("words", "classification", ("word a", "word b"), 400.0)
    assert data.feature_names == CONFIG.feature_names
    assert done == [(1, 5)] * 5
    assert data.train.offsets.tolist() == [0, 1, 3, 7]
    assert data.test.offsets.tolist() == [0, 2]
    splits = (data.train, data.valid, data.test)
    assert [split.labels is not None and split.labels.tolist() for split in splits] == [[1, 0, 1], [0], [1]]
    assert [split.groups is not None and split.groups.tolist() for split in splits] == [[3, 3, 1], [0], [2]]
    clips = [read_wav(with_csv / "dataset" / f"{name}.wav", CONFIG.sample_rate) for name in CSV_CLIPS["train"]]
    assert np.array_equal(data.train.features, np.concatenate([log_mel(clip, CONFIG) for clip in clips]))


def test_what_the_lists_do_not_name_is_for_training(with_lists: Path) -> None:
    files = {split: [(clip.file, clip.word, clip.speaker) for clip in clips] for split, clips in list_clips(with_lists).items()}
    assert files == {
        "train": [
            ("no/00ff_nohash_0.wav", "no", "00ff"),
            ("no/00ff_nohash_1.wav", "no", "00ff"),
            ("yes/00ff_nohash_0.wav", "yes", "00ff"),
        ],
        "valid": [("no/aa01_nohash_0.wav", "no", "aa01")],
        "test": [("yes/0b0b_nohash_4.wav", "yes", "0b0b")],
    }
    assert load_wav_folder(with_lists, CONFIG).class_names == ("no", "yes")


def test_without_a_speaker_in_every_name_there_are_no_groups(with_lists: Path) -> None:
    write_clips(with_lists, {"yes/recording.wav": 60})
    assert load_wav_folder(with_lists, CONFIG).train.groups is None


REFUSED: dict[str, tuple[dict[str, bytes | None], str]] = {
    "no split": ({"train.csv": None}, "does not say which file is in which split; give one that has train.csv"),
    "other columns": ({"val.csv": b"path,label\na,b\n"}, "val.csv has no columns file and class"),
    "an empty list": ({"val.csv": b""}, "val.csv has no columns file and class"),
    "only a head": ({"val.csv": b"file,class\n"}, "valid split of .* has no files"),
    "a line without a class": ({"val.csv": b"file,class\ndataset/a/00000002_NO_01.wav\n"}, "entry 1 lacks a file or a class"),
    "no text": ({"val.csv": b"\xff\xfe\x00"}, "is not UTF-8"),
    "a huge field": ({"val.csv": b"file,class\n" + b"a" * 200_000 + b",b\n"}, r"val.csv is not CSV \(field larger"),
    "a name that no file can have": ({"val.csv": b"file,class\n" + b"a" * 9000 + b",word a\n"}, "file a{200} in val.csv is not in"),
    "a missing file": ({"dataset/a/00000002_NO_01.wav": None}, "file dataset/a/00000002_NO_01.wav in val.csv is not in"),
    "a path that leads out": ({"val.csv": b"file,class\n../x.wav,word a\n"}, "'../x.wav' in val.csv leads out of the folder"),
    "an absolute path": ({"val.csv": b"file,class\n/etc/x.wav,word a\n"}, "'/etc/x.wav' in val.csv leads out of the folder"),
    "a file in two splits": (
        {"val.csv": b"file,class\ndataset/b/00000030_NO_01.wav,word b\n"},
        "is listed twice: in the train split and in the valid split",
    ),
    "a new class": (
        {"val.csv": b"file,class\ndataset/a/00000002_NO_01.wav,other\n"},
        "class 'other' of .* does not occur in the train split",
    ),
    "a damaged clip": ({"dataset/a/00000002_NO_01.wav": b"RIFF"}, "00000002_NO_01.wav is not a wav file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_folder_that_will_not_do_is_refused(case: str, with_csv: Path) -> None:
    files, said = REFUSED[case]
    for name, content in files.items():
        if content is None:
            (with_csv / name).unlink()
        else:
            (with_csv / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        load_wav_folder(with_csv, CONFIG)


def test_a_clip_shorter_than_a_window_is_refused(with_csv: Path) -> None:
    write_clips(with_csv, {"dataset/a/00000002_NO_01.wav": 39})
    with pytest.raises(UserError, match="of 39 samples is shorter than a window of 40"):
        load_wav_folder(with_csv, CONFIG)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        list_clips(tmp_path / "none")
