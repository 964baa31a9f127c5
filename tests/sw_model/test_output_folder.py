from pathlib import Path

import pytest

from sw_model.errors import UserError
from sw_model.output_folder import require_free, staged_folder


def test_folder_appears_whole(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "a" / "out") as staging:
        (staging / "file").write_text("x")
        assert not (tmp_path / "a" / "out").exists()
    assert (tmp_path / "a" / "out" / "file").read_text() == "x"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["out"]


def _fail_in(folder: Path) -> None:
    with staged_folder(folder, force=True) as staging:
        (staging / "new").write_text("x")
        raise RuntimeError


def test_an_error_leaves_the_old_content(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").write_text("y")
    with pytest.raises(RuntimeError):
        _fail_in(out)
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "old"]


def test_results_are_replaced_only_by_force(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    require_free(out, force=False)
    (out / "old").write_text("y")
    with pytest.raises(UserError, match="already holds results"):
        require_free(out, force=False)
    with staged_folder(out, force=True) as staging:
        (staging / "new").write_text("x")
    assert [p.name for p in out.iterdir()] == ["new"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        require_free(tmp_path / "out", force=True)
