import re
import subprocess
import sys

import pytest

from egru import cli
from sw_model.errors import UserError


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def app(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", app)
    return cli.main([])


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert re.fullmatch(r"egru \S+\n", capsys.readouterr().out)


def test_a_users_mistake_is_one_line_and_exit_code_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(monkeypatch, UserError("lanes=0", "is not positive", "use 1 or more")) == 2
    captured = capsys.readouterr()
    assert captured.err == "error: lanes=0 is not positive; use 1 or more\n"
    assert captured.out == ""


def test_ctrl_c_is_exit_code_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(monkeypatch, KeyboardInterrupt()) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_file_system_error_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(monkeypatch, PermissionError(13, "Permission denied", "/some/out")) == 2
    assert capsys.readouterr().err.startswith("error: /some/out: Permission denied; ")


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        raising(monkeypatch, ZeroDivisionError())


@pytest.mark.parametrize("arguments", [["no-such-command"], ["doctor", "--no-such-option"]])
def test_unknown_words_are_one_line_and_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: No such")
    assert error.count("\n") == 1


def test_the_command_line_starts_without_the_heavy_packages() -> None:
    code = "import sys; import egru.cli; print(sorted({'torch', 'brevitas', 'cocotb'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
