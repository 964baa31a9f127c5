from pathlib import Path

import numpy as np
import pytest

from egru.commands import data as command
from sw_model import feature_dataset, linear_baseline
from sw_model.feature_sources import load_features
from tests.egru.conftest import egru

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "generated"
    made = egru("data", "generate", "--out", folder, "--seed", 3, "--json").json()
    assert made["dataset"] == str(folder)
    assert {name: split["sequences"] for name, split in made["splits"].items()} == {"train": 2400, "valid": 360, "test": 600}
    return folder


def test_defaults_are_those_of_the_functions() -> None:
    assert (command.VALID_SHARE, command.SEGMENTS) == (feature_dataset.VALID_SHARE, linear_baseline.SEGMENTS)


def test_what_is_generated_is_shown(generated: Path) -> None:
    found = egru("data", "show", generated, "--segments", 4, "--json").json()
    dataset = load_features(generated)
    assert (found["name"], found["classes"], found["groups_in_several_splits"]) == ("generated", ["A", "B", "C", "D"], 0)
    assert found["splits"]["test"]["per_class"] == [150] * 4
    lengths = dataset.train.lengths
    assert found["splits"]["train"]["lengths"] == {"min": lengths.min(), "median": np.median(lengths), "max": lengths.max()}
    assert [one["max"] for one in found["features"]] == dataset.train.features.max(axis=0).tolist()
    assert found["baseline"]["segments"] == 4
    assert found["baseline"]["constant"] == 0.25
    assert found["baseline"]["test"] == linear_baseline.linear_baseline(dataset, 4).test < 0.5
    shown = egru("data", "show", generated)
    assert shown.code == 0
    for word in ("2,400", "sensor5", "seed 3", "linear model on means of 8 segments", "a constant gives 0.250"):
        assert word in shown.out


def test_the_embedded_data_set_is_seed_0(tmp_path: Path) -> None:
    egru("data", "generate", "--out", tmp_path / "zero")
    embedded, written = load_features(), load_features(tmp_path / "zero")
    assert all(np.array_equal(embedded.split(name).features, written.split(name).features) for name in ("train", "valid", "test"))


def test_results_are_replaced_only_by_force(generated: Path) -> None:
    before = (generated / "dataset.json").read_bytes()
    refused = egru("data", "generate", "--out", generated)
    assert (refused.code, refused.out) == (2, "")
    assert "already holds results; give another --out, or --force" in refused.err
    assert (generated / "dataset.json").read_bytes() == before
    assert egru("data", "generate", "--out", generated, "--seed", 3, "--force").code == 0
    assert (generated / "dataset.json").read_bytes() == before


def test_a_regression_in_csv_is_imported_and_shown(tmp_path: Path) -> None:
    def write(frames_of_a_group: int) -> None:
        rows = "".join(f"{frame // 5},{frame // frames_of_a_group % 4},{frame % 7},{frame % 7}\n" for frame in range(200))
        for name in ("train", "test"):
            (tmp_path / f"{name}.csv").write_text("sequence,group,x,target:y\n" + rows)

    write(1)
    refused = egru("data", "import", "csv", tmp_path, "--out", tmp_path / "out")
    assert refused.code == 2
    assert "has another label or group" in refused.err
    assert not (tmp_path / "out").exists()
    write(5)
    done = egru("data", "import", "csv", tmp_path, "--out", tmp_path / "out", "--source", "counted", "--frame-rate", 5)
    assert done.code == 0, done.err
    assert "4 groups are in more than one split" in done.out
    assert "5 frames per second" in done.out
    found = egru("data", "show", tmp_path / "out", "--json").json()
    assert (found["task"], found["targets"], found["source"]) == ("regression", ["y"], "counted")
    assert found["splits"]["valid"]["groups"] == 1
    assert found["baseline"]["measure"] == "error"
    assert found["baseline"]["test"] < 1e-3 < found["baseline"]["constant"] == 1.0
    assert "linear model on 8 frames, error: 0.000" in egru("data", "show", tmp_path / "out").out


HEADER = "@problemName Two\n@classLabel true up down\n@data\n"


def test_time_series_are_imported(tmp_path: Path) -> None:
    for name in ("TRAIN", "TEST"):
        (tmp_path / f"Two_{name}.ts").write_text(HEADER + "1,2,3:up\n3,2,1:down\n" * 5)
    files = (tmp_path / "Two_TRAIN.ts", tmp_path / "Two_TEST.ts")
    found = egru("data", "import", "ts", *files, "--valid-share", 0.2, "--out", tmp_path / "out", "--json").json()
    assert [split["per_class"] for split in found["splits"].values()] == [[4, 4], [1, 1], [5, 5]]
    refused = egru("data", "import", "ts", *files, "--valid-share", 1.5, "--out", tmp_path / "other")
    assert (refused.code, "share 1.5" in refused.err) == (2, True)


@pytest.mark.parametrize("kind", ["spoken-arabic-digits", "arabic-speech-commands"])
def test_files_that_are_none_are_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.npz").write_bytes(b"no such file")
    for name, said in (("a.npz", "cannot be read"), ("none.npz", "does not exist")):
        refused = egru("data", "import", kind, tmp_path / name, "--out", tmp_path / "out")
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert said in refused.err
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_shown(tmp_path: Path) -> None:
    assert "holds no dataset.json; give a folder that `egru data` wrote, or generated" in egru("data", "show", tmp_path).err
    assert "are not 1 to 8192 columns" in egru("data", "show", "generated", "--segments", 100_000).err
    assert egru("data", "show", "generated", "--segments", 0).code == 2


def test_the_page_shows_commands_that_there_are() -> None:
    lines = [
        line.split("#")[0].split() for line in (ROOT / "docs" / "streams.md").read_text().splitlines() if line.startswith("egru data ")
    ]
    assert len(lines) >= 6
    for line in lines:
        words = [word for word in line[1:] if word.islower() or word.startswith("--")]
        command_words = words[: 3 if words[1] == "import" else 2]
        shown = egru(*command_words, "--help")
        assert shown.code == 0
        assert all(word in shown.out for word in words if word.startswith("--"))
