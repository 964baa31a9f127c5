import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECK_HOST = ROOT / "scripts" / "check_host.sh"
SHELL = shutil.which("sh") or "/bin/sh"


def check_host(path: Path, python: str = "python3") -> subprocess.CompletedProcess[str]:
    return subprocess.run([SHELL, str(CHECK_HOST), python], env={"PATH": str(path)}, capture_output=True, text=True, check=False)


def fake_tools(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).symlink_to(sys.executable)
    return folder


def test_every_missing_host_tool_is_named_with_one_apt_line(tmp_path: Path) -> None:
    done = check_host(tmp_path)
    assert done.returncode == 2
    assert [line.split()[1] for line in done.stderr.splitlines()[:-1]] == ["python3", "g++", "make", "perl"]
    assert done.stderr.splitlines()[-1] == "remedy: sudo apt-get install python3 python3-venv g++ make perl"


@pytest.mark.parametrize("absent", ["g++", "make", "perl"])
def test_only_what_is_missing_is_named(tmp_path: Path, absent: str) -> None:
    path = fake_tools(tmp_path, *({"g++", "make", "perl"} - {absent}))
    done = check_host(path, sys.executable)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"remedy: sudo apt-get install {absent}"


def test_an_old_python_is_named_with_its_version(tmp_path: Path) -> None:
    path = fake_tools(tmp_path, "g++", "make", "perl")
    old = tmp_path / "old"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)
    done = check_host(path, str(old))
    assert done.returncode == 2
    assert "is Python 3.9.2, older than 3.11" in done.stderr


def test_a_complete_host_is_accepted_in_silence(tmp_path: Path) -> None:
    done = check_host(fake_tools(tmp_path, "g++", "make", "perl"), sys.executable)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_wheel_carries_code_boards_rtl_and_recipes(tmp_path: Path) -> None:
    # From a copy: a build in the checkout would leave its folders there.
    source = tmp_path / "source"
    wanted = ("pyproject.toml", "README.md", "LICENSE", "examples", "boards", "egru", "hls_gen", "rtl_templates", "sim", "sw_model")
    for name in wanted:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        (source / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source)]
    subprocess.run(command, check=True)
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    data = {
        str(path.relative_to(ROOT))
        for folder in ("boards", "rtl_templates", "sim/models", "sim/board", "examples/pydoc_topics")
        for path in (ROOT / folder).rglob("*.*")
        if path.is_file()
    }
    # What made the examples is no part of the product.
    code = {str(path.relative_to(ROOT)) for folder in wanted[4:] for path in (ROOT / folder).rglob("*.py")}
    assert {name for name in data | code if "__pycache__" not in name} <= names
