"""A folder of spoken words as a set of feature sequences: the layouts of two published data sets.

Arabic Speech Commands (Ghandoura, Hjabo and Al Dakkak 2021): ``train.csv``, ``val.csv`` and ``test.csv`` with the columns ``file`` (a path
in the folder) and ``class``. Google Speech Commands (Warden 2018): a folder of wav files for each word; ``validation_list.txt`` and
``testing_list.txt`` name files of theirs, one a line, and what neither names is for training. Folders that begin with ``_`` are no words.

Both put the speaker in a file's name, ``00000014_NO_01.wav`` and ``0a7c2a8d_nohash_0.wav``, and no speaker in two splits.
"""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from sw_model.datasets import SPLITS
from sw_model.errors import UserError
from sw_model.feature_dataset import FeatureDataset, FeatureSplit, offsets_of
from sw_model.input_file import read_text
from sw_model.log_mel import LogMelConfig, log_mel
from sw_model.strict_toml import SHOWN
from sw_model.wav_file import read_wav

Advance = Callable[[int, int], None]

CSV_FILES = {"train": "train.csv", "valid": "val.csv", "test": "test.csv"}
LIST_FILES = {"valid": "validation_list.txt", "test": "testing_list.txt"}
LAYOUTS = (
    f"{', '.join(CSV_FILES.values())} with columns file and class, or {' and '.join(LIST_FILES.values())} beside a folder for each word"
)
_SPEAKER = re.compile(r"(\d+)_NO_\d+|([0-9a-f]+)_nohash_\d+")


@dataclass(frozen=True)
class Clip:
    """One recording.

    Attributes:
        file: Its path in the folder, with ``/``.
        word: Its class.
        speaker: Who speaks, as the file's name says; None where it does not.
    """

    file: str
    word: str
    speaker: str | None


def list_clips(folder: Path) -> dict[str, tuple[Clip, ...]]:
    """List the clips of every split, in the order of the csv file, or sorted by path.

    Raises:
        UserError: When the folder has neither layout, a list names a file that is not there, is not in the folder or is in two splits, a
            split is empty, or it has a class that the training split does not have.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"folder {folder}", "does not exist", f"give one that has {LAYOUTS}")
    if all((folder / name).is_file() for name in CSV_FILES.values()):
        splits = {split: _clips_of_csv(folder, name) for split, name in CSV_FILES.items()}
    elif all((folder / name).is_file() for name in LIST_FILES.values()):
        splits = _clips_of_lists(folder)
    else:
        raise UserError(f"folder {folder}", "does not say which file is in which split", f"give one that has {LAYOUTS}")
    _require_sound(folder, splits)
    return splits


def load_wav_folder(
    folder: Path, config: LogMelConfig | None = None, *, mix_down: bool = False, source: str = "", advance: Advance | None = None
) -> FeatureDataset:
    """Read every clip of a folder and turn it into log-mel frames.

    Args:
        folder: In one of the layouts of `list_clips`.
        config: Of the frames; None for the default.
        mix_down: Take the mean of a file's channels; without it a file of more than one is refused.
        source: Where the recordings are from, for the data set's description.
        advance: Called after each clip with the clips done since the last call, and the total.

    Returns:
        A classification set whose features are the bytes of `sw_model.log_mel`; its groups number the speakers, sorted by name, and are
        None unless every file's name tells its speaker.

    Raises:
        UserError: As `list_clips` and `read_wav` do, or when a clip is shorter than a frame's window.
    """
    config = config or LogMelConfig()
    clips = list_clips(folder)
    classes = _sorted_classes(clips["train"])
    speakers = _speakers(clips)
    total = sum(map(len, clips.values()))

    def load(split: tuple[Clip, ...]) -> FeatureSplit:
        frames = []
        for clip in split:
            frames.append(_frames(Path(folder) / clip.file, config, mix_down))
            if advance is not None:
                advance(1, total)
        return FeatureSplit(
            # Bytes until the end: as floats they take four times as much.
            features=np.concatenate(frames).astype(np.float32),
            offsets=offsets_of([len(part) for part in frames]),
            labels=np.array([classes.index(clip.word) for clip in split], dtype=np.int64),
            groups=None if speakers is None else np.array([speakers[str(clip.speaker)] for clip in split], dtype=np.int64),
        )

    train, valid, test = (load(clips[split]) for split in SPLITS)
    return FeatureDataset(
        name=Path(folder).resolve().name or "wav",
        task="classification",
        train=train,
        valid=valid,
        test=test,
        feature_names=config.feature_names,
        class_names=classes,
        frame_rate=config.frame_rate,
        source="; ".join(filter(None, (source, f"log-mel frames of wav files, {config}"))),
        front_end=config,
    )


def _frames(path: Path, config: LogMelConfig, mix_down: bool) -> np.ndarray:
    samples = read_wav(path, config.sample_rate, mix_down=mix_down)
    frames = log_mel(samples, config)
    if len(frames) == 0:
        raise UserError(f"wav file {path} of {len(samples)} samples", f"is shorter than a window of {config.window}", "leave it out")
    return frames


def _clips_of_csv(folder: Path, name: str) -> tuple[Clip, ...]:
    what, remedy = f"list {folder / name}", "give lines of file,class, the first line these words"
    reader = csv.DictReader(io.StringIO(read_text(folder / name, "list", remedy).removeprefix("\ufeff"), newline=""))
    try:
        if not {"file", "class"} <= set(reader.fieldnames or ()):
            raise UserError(what, "has no columns file and class", remedy)
        rows = list(reader)
    except csv.Error as error:
        raise UserError(what, f"is not CSV ({error})", remedy) from None
    for number, row in enumerate(rows, 1):
        if not row["file"] or not row["class"]:
            raise UserError(f"{what}, entry {number}", "lacks a file or a class", remedy)
    return tuple(_clip(folder, name, row["file"], row["class"]) for row in rows)


def _clips_of_lists(folder: Path) -> dict[str, tuple[Clip, ...]]:
    listed = {}
    for split, name in LIST_FILES.items():
        lines = read_text(folder / name, "list", "give a path in the folder on every line").split("\n")
        files = [line.strip() for line in lines if line.strip()]
        listed[split] = tuple(_clip(folder, name, file, PurePosixPath(file).parent.name) for file in sorted(files))
    taken = {clip.file for split in listed.values() for clip in split}
    words = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "_.")
    files = [f"{word.name}/{path.name}" for word in words for path in sorted(word.iterdir()) if path.suffix.lower() == ".wav"]
    train = tuple(_clip(folder, folder.name, file, PurePosixPath(file).parent.name) for file in files if file not in taken)
    return {"train": train, **listed}


def _clip(folder: Path, name: str, file: str, word: str) -> Clip:
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or "\0" in file:
        raise UserError(f"file {file[:SHOWN]!r} in {name}", "leads out of the folder", "give paths in the folder")
    if not _is_file(folder / path):
        raise UserError(
            f"file {file[:SHOWN]} in {name}", f"is not in {folder}", "unpack the whole data set, or take the line out of the list"
        )
    found = _SPEAKER.fullmatch(path.stem)
    return Clip(str(path), word, found and (found[1] or found[2]))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than any
        return False


def _require_sound(folder: Path, splits: dict[str, tuple[Clip, ...]]) -> None:
    split_of: dict[str, str] = {}
    classes = _sorted_classes(splits["train"])
    for split in SPLITS:
        if not splits[split]:
            raise UserError(f"{split} split of {folder}", "has no files", "name some in its list")
        for clip in splits[split]:
            if clip.file in split_of:
                rule = f"is listed twice: in the {split_of[clip.file]} split and in the {split} split"
                raise UserError(f"file {clip.file} of {folder}", rule, "leave it in one")
            split_of[clip.file] = split
            if clip.word not in classes:
                raise UserError(
                    f"class {clip.word!r} of {clip.file}", "does not occur in the train split", "add clips of it, or leave it out"
                )


def _sorted_classes(clips: tuple[Clip, ...]) -> tuple[str, ...]:
    return tuple(sorted({clip.word for clip in clips}))


def _speakers(splits: dict[str, tuple[Clip, ...]]) -> dict[str, int] | None:
    names = {clip.speaker for clips in splits.values() for clip in clips}
    return None if None in names else {str(name): number for number, name in enumerate(sorted(map(str, names)))}
