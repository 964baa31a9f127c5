"""The example of feature streams: what ships belongs together, and what does not is refused."""

import shutil
from pathlib import Path

import pytest

from benchmarks.results_file import require_results
from benchmarks.streams_results import StreamRecord
from benchmarks.streams_training import recipe_digest
from examples.record_streams import MODEL_FOLDER, README_FILE, RECIPE_FILE, RECORD_FILE, readme, record
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel
from sw_model.train_config import RECIPES, load_recipe

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "spoken_digits"


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A record with its model beside it, as training leaves them."""
    shutil.copytree(EXAMPLE / MODEL_FOLDER, tmp_path / "seed1-model")
    shutil.copyfile(EXAMPLE / RECORD_FILE, tmp_path / "seed1.json")
    return tmp_path / "seed1.json"


def test_what_ships_belongs_together() -> None:
    found = require_results(EXAMPLE / RECORD_FILE, StreamRecord)
    assert QuantizedModel.load(EXAMPLE / MODEL_FOLDER).content_hash() == found.model_hash
    assert recipe_digest(load_recipe(EXAMPLE / RECIPE_FILE)) == found.recipe_digest
    assert (EXAMPLE / README_FILE).read_text() == readme(found)


def test_it_is_made_of_a_record(measured: Path, tmp_path: Path) -> None:
    record(measured, EXAMPLE / RECIPE_FILE, tmp_path / "out")
    for path in filter(Path.is_file, EXAMPLE.rglob("*")):
        assert (tmp_path / "out" / path.relative_to(EXAMPLE)).read_bytes() == path.read_bytes()


def test_another_recipe_is_refused(measured: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="was not made with"):
        record(measured, RECIPES / "generated.toml", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_model_is_refused(measured: Path, tmp_path: Path) -> None:
    text = measured.read_text()
    measured.write_text(text.replace(require_results(measured, StreamRecord).model_hash or "", "0" * 64))
    with pytest.raises(UserError, match="is of another model"):
        record(measured, EXAMPLE / RECIPE_FILE, tmp_path / "out")
