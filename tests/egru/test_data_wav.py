import wave
from pathlib import Path

import numpy as np
import pytest

from sw_model.feature_dataset import read_dataset
from sw_model.front_end import FrontEnd
from sw_model.log_mel import LogMelConfig, log_mel
from sw_model.wav_file import read_wav
from sw_model.wav_folder import LIST_FILES
from tests.egru.conftest import egru

CLIPS = ("no/00ff_nohash_0.wav", "yes/00ff_nohash_0.wav", "no/aa01_nohash_0.wav", "yes/0b0b_nohash_0.wav")


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """Four clips, of 4, 5, 6 and 7 frames."""
    folder = tmp_path / "words"
    for number, name in enumerate(CLIPS):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as writer:
            writer.setparams((1, 2, 16_000, 0, "NONE", "NONE"))
            writer.writeframes(np.random.default_rng(number).integers(-999, 999, 480 + 320 * (3 + number)).astype("<i2").tobytes())
    for name, clip in zip(LIST_FILES.values(), CLIPS[2:], strict=True):
        (folder / name).write_text(f"{clip}\n")
    return folder


def test_wav_files_become_a_data_set(words: Path, tmp_path: Path) -> None:
    found = egru("data", "import", "wav", words, "--source", "made here", "--out", tmp_path / "out", "--json").json()
    assert [split["frames"] for split in found["splits"].values()] == [9, 6, 7]
    assert (found["classes"], found["frame_rate"], found["groups_in_several_splits"]) == (["no", "yes"], 50.0, 0)
    dataset = read_dataset(tmp_path / "out")
    assert dataset.source.startswith("made here; log-mel frames of wav files, LogMelConfig(sample_rate=16000, ")
    assert dataset.front_end == LogMelConfig()
    assert np.array_equal(dataset.test.features, log_mel(read_wav(words / CLIPS[3], 16_000)))


RECIPE = """
[dense]
steps = 2
streams = 2
features = { encoding = "delta", readout = "last" }
network = { hidden_sizes = [4], threshold_mean = 0.1 }
[qat]
steps = 2
streams = 2
quantization = { weight_bits = 8, decoder_bits = 8 }
"""


def test_the_front_end_travels_to_the_model_that_listens(words: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    data, dense, quantised, model = (tmp_path / name for name in ("data", "dense", "quantised", "model"))
    options = ("--data", data, "--config", tmp_path / "recipe.toml")
    egru("data", "import", "wav", words, "--out", data, "--json").json()
    egru("train", *options, "--out", dense, "--json").json()
    egru("train", "--quantise", "--from", dense, *options, "--out", quantised, "--json").json()
    egru("export", quantised, "--out", model, "--json").json()
    heard = egru("listen", model, "--wav", words / CLIPS[3], "--port", "reference", "--json").json()
    assert heard["frames"] == 7
    assert heard["decision"] in ("no", "yes")
    assert heard["front_end"] == FrontEnd.of(LogMelConfig()).model_dump()


def test_a_wrong_clip_leaves_nothing_behind(words: Path, tmp_path: Path) -> None:
    with wave.open(str(words / CLIPS[3]), "wb") as writer:
        writer.setparams((1, 2, 44_100, 0, "NONE", "NONE"))
        writer.writeframes(bytes(2000))
    outcome = egru("data", "import", "wav", words, "--out", tmp_path / "out")
    assert (outcome.code, outcome.out) == (2, "")
    assert "0b0b_nohash_0.wav has 44100 samples per second, not 16000; convert it, e.g. with ffmpeg" in outcome.err
    assert not (tmp_path / "out").exists()


def test_a_full_output_folder_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "note").touch()
    outcome = egru("data", "import", "wav", tmp_path / "nowhere", "--out", tmp_path)
    assert (outcome.code, "already holds results" in outcome.err) == (2, True)
