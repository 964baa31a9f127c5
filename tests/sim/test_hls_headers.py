"""Where the headers of HLS are looked for, with folders that only look like the real ones."""

import os
import sys
from pathlib import Path

import pytest

from sim.hls_headers import HEADERS, Headers, find_headers
from sw_model.errors import UserError


def fake_headers(folder: Path, text: str = "// fake\n") -> Path:
    folder.mkdir(parents=True)
    for name in HEADERS:
        (folder / name).write_text(text)
    return folder


def fake_program(root: Path, name: str) -> str:
    """An installed program that a link in another folder, which is on PATH, leads to; return that folder."""
    for folder in ("bin", "links"):
        (root / folder).mkdir(parents=True)
    (root / "bin" / name).write_text("#!/bin/sh\n")
    (root / "bin" / name).chmod(0o755)
    (root / "links" / name).symlink_to(root / "bin" / name)
    return str(root / "links")


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("EGRU_HLS_INCLUDE", "XILINX_HLS", "XILINX_VITIS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(sys, "path", [])  # where packages are looked for
    monkeypatch.delitem(sys.modules, "hls4ml", raising=False)  # another test of this process may have imported it


def test_the_users_own_come_before_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = fake_headers(tmp_path / "site" / "hls4ml" / "templates" / "vivado" / "ap_types")
    bambu, vitis = tmp_path / "panda", tmp_path / "Vitis_HLS"
    in_bambu = fake_headers(bambu / "share" / "panda" / "ac_types" / "include")
    in_vitis = fake_headers(vitis / "include")
    in_platform, in_settings, own = (fake_headers(tmp_path / name / "include") for name in ("Vitis", "settings", "own"))

    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    assert find_headers() == Headers(package, "hls4ml")
    assert "hls4ml" not in sys.modules
    monkeypatch.setenv("PATH", fake_program(bambu, "bambu"), prepend=os.pathsep)
    assert find_headers() == Headers(in_bambu, "bambu")
    monkeypatch.setenv("PATH", fake_program(vitis, "vitis_hls"), prepend=os.pathsep)
    assert find_headers() == Headers(in_vitis, "vitis_hls")
    monkeypatch.setenv("XILINX_VITIS", str(in_platform.parent))
    assert find_headers() == Headers(in_platform, "XILINX_VITIS")
    monkeypatch.setenv("XILINX_HLS", str(in_settings.parent))
    assert find_headers() == Headers(in_settings, "XILINX_HLS")
    monkeypatch.setenv("EGRU_HLS_INCLUDE", str(own))
    assert find_headers() == Headers(own, "EGRU_HLS_INCLUDE")


def test_an_installation_without_headers_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = fake_headers(tmp_path / "site" / "hls4ml" / "templates" / "vivado" / "ap_types")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    monkeypatch.setenv("XILINX_VITIS", str(tmp_path / "embedded"))
    monkeypatch.setenv("PATH", fake_program(tmp_path / "panda", "bambu"))
    assert find_headers() == Headers(package, "hls4ml")


def test_nothing_at_all_says_where_to_get_them() -> None:
    with pytest.raises(UserError, match=r"ap_int\.h, hls_stream\.h\) are not found; pip install hls4ml, .* or set EGRU_HLS_INCLUDE to"):
        find_headers()


def test_a_folder_that_was_named_must_hold_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EGRU_HLS_INCLUDE", str(tmp_path))
    with pytest.raises(UserError, match=r"EGRU_HLS_INCLUDE=.* holds no ap_int\.h and hls_stream\.h; "):
        find_headers()


def test_headers_are_known_by_their_texts_and_not_by_their_place(tmp_path: Path) -> None:
    one, same, other = (Headers(fake_headers(tmp_path / name, text), name) for name, text in (("a", "1"), ("b", "1"), ("c", "2")))
    assert one.digest() == same.digest() != other.digest()
    (same.folder / "unrelated.h").write_text("")
    assert one.digest() == same.digest()
    (same.folder / "etc").mkdir()
    (same.folder / "etc" / "ap_private.h").write_text("")
    assert one.digest() != same.digest()
