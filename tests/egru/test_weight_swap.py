"""New weights in a finished bitstream: what it then holds answers as the new model's reference does."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from egru.place_and_route import build
from egru.weight_swap import extract, swap
from hls_gen.board import load_board
from hls_gen.hardware_config import HardwareConfig
from hls_gen.memory_image import format_words
from hls_gen.rtl_backend import HARDWARE_FILE, MEMORY_FOLDER, MODEL_FOLDER, RTL_FOLDER, write
from hls_gen.weight_image import generate_for
from hls_gen.weight_swap import image_files, image_words
from sim.build_cache import BenchError
from sim.equivalence import check_equivalence
from sw_model.errors import UserError
from sw_model.fixed_point import Formats
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model

# Formats and lanes as small as may be: an UP5K has 30 block RAMs, and every memory with contents takes one.
FORMATS = Formats(event_bits=4, state_bits=8, gate_bits=4, preact_bits=8, preact_frac=4)
SPEC = RandomModelSpec(hidden=(12,), classes=5, tokens=5, weight_bits=4, formats=FORMATS, seed=1)
HARDWARE = HardwareConfig(lanes=(1, 1), weights="swappable", counter_bits=16, queue_depth=6, stream_depth=2)
STEPS = 60


@dataclass(frozen=True)
class Built:
    """A build of `SPEC`'s model and what it was built from."""

    generated: Path
    build: Path


@pytest.fixture(scope="module", params=["ulx3s_12f", "icebreaker"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("swap")
    write(random_model(SPEC), HARDWARE, folder / "rtl")
    build(folder / "rtl", load_board(request.param), folder / "build", seeds=(1,))
    return Built(folder / "rtl", folder / "build")


def with_contents(built: Built, bitstream: Path, described_by: Path, folder: Path) -> Path:
    """Make a generated folder of the build's own RTL and the memories in ``bitstream``, to be compared with the model in another folder."""
    scratch = folder / "scratch"
    scratch.mkdir(parents=True)
    contents = extract(built.build, bitstream, scratch)
    shutil.copytree(built.build / RTL_FOLDER, folder / RTL_FOLDER)
    (folder / MEMORY_FOLDER).mkdir()
    for file in image_files(json.loads((described_by / HARDWARE_FILE).read_text())):
        (folder / MEMORY_FOLDER / file.name).write_text(format_words(contents[file.name], file.bits))
    shutil.copyfile(described_by / HARDWARE_FILE, folder / HARDWARE_FILE)
    shutil.copytree(described_by / MODEL_FOLDER, folder / MODEL_FOLDER)
    return folder


def tokens() -> list[list[int]]:
    rng = np.random.default_rng(7)
    return [rng.integers(0, SPEC.tokens, STEPS - 1).tolist(), [2]]


def test_the_contents_answer_as_the_model_that_was_swapped_in(built: Built, tmp_path: Path) -> None:
    other = random_model(replace(SPEC, seed=2))
    result = swap(built.build, other, tmp_path / "swapped")
    assert result.model_hash == other.content_hash()
    assert json.loads((tmp_path / "swapped" / "swap.json").read_text()) == result.as_dict()
    bitstream = tmp_path / "swapped" / result.bitstream

    found = check_equivalence(with_contents(built, bitstream, tmp_path / "swapped", tmp_path / "b"), tokens())
    assert found.steps == STEPS
    assert found.events > STEPS
    with pytest.raises(BenchError):
        check_equivalence(with_contents(built, bitstream, built.generated, tmp_path / "a"), tokens(), run_dir=tmp_path / "run")

    # The bitstream of the build itself, made by the same mechanism, still is the first model's, and both are of one size.
    first = built.build / result.bitstream
    assert first.stat().st_size == result.bitstream_bytes
    assert check_equivalence(with_contents(built, first, built.generated, tmp_path / "c"), tokens()).steps == STEPS


def test_swapping_back_gives_the_first_bitstream(built: Built, tmp_path: Path) -> None:
    result = swap(built.build, QuantizedModel.load(built.generated / MODEL_FOLDER), tmp_path / "swapped")
    assert (tmp_path / "swapped" / result.bitstream).read_bytes() == (built.build / result.bitstream).read_bytes()


def test_the_build_folder_has_the_models_images(built: Built) -> None:
    files = sorted(path.name for path in (built.generated / MEMORY_FOLDER).iterdir())
    assert len(files) > 10
    for name in files:
        assert (built.build / MEMORY_FOLDER / name).read_text() == (built.generated / MEMORY_FOLDER / name).read_text()


def test_what_cannot_be_swapped_is_refused_by_name(built: Built, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model with classes=6 does not fit a design for classes=5; generate and build"):
        swap(built.build, random_model(replace(SPEC, classes=6)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=r"holds no swap/; give a folder that egru build made"):
        swap(built.generated, random_model(SPEC), tmp_path / "out")
    bitstream = next(path for path in built.build.iterdir() if path.suffix in (".bit", ".bin"))
    (tmp_path / "cut").write_bytes(bitstream.read_bytes()[:3000])
    (tmp_path / "scratch").mkdir()
    with pytest.raises(UserError):
        extract(built.build, tmp_path / "cut", tmp_path / "scratch")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda hardware: hardware["memories"][0].update(name="../../outside"),
            "memory '../../outside' of 8 words of 32 bits .* is none of ours",
        ),
        (lambda hardware: hardware["memories"][0].update(depth=1 << 40), "of 1099511627776 words of 32 bits .* is none of ours"),
        (lambda hardware: hardware.pop("memories"), "hardware.json lists no memories"),
        (lambda hardware: hardware.pop("config"), "is missing, truncated or altered"),
    ],
)
def test_an_altered_description_is_refused_and_writes_nothing(change: Any, message: str, tmp_path: Path) -> None:
    generated, out = tmp_path / "deep" / "rtl", tmp_path / "deep" / "build"
    write(random_model(SPEC), HARDWARE, generated)
    hardware = json.loads((generated / HARDWARE_FILE).read_text())
    change(hardware)
    (generated / HARDWARE_FILE).write_text(json.dumps(hardware))
    with pytest.raises(UserError, match=message):
        build(generated, load_board("icebreaker"), out, seeds=(1,))
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert not out.exists()


def test_a_truncated_description_fits_no_model() -> None:
    with pytest.raises(UserError, match=r"hardware\.json is truncated or altered"):
        generate_for(random_model(SPEC), {"config": {"lanes": 1, "weights": "swappable"}})


def test_other_families_are_refused_before_anything_is_built(tmp_path: Path) -> None:
    write(random_model(SPEC), HARDWARE, tmp_path / "rtl")
    with pytest.raises(UserError, match=r"board tang_nano_9k \(gowin\) has a bitstream in which weights cannot be swapped; generate with"):
        build(tmp_path / "rtl", load_board("tang_nano_9k"), tmp_path / "build")


def test_images_are_read_as_they_were_written() -> None:
    from hls_gen.rtl_backend import describe, generate

    generated = generate(random_model(SPEC), HARDWARE)
    files = image_files(describe(random_model(SPEC), generated))
    words = image_words(generated.memories)
    assert [file.name for file in files] == list(words)
    assert all(len(words[file.name]) == file.depth and max(words[file.name]) >> file.bits == 0 for file in files)
