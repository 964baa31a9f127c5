"""`egru report`: a synthesis report of Vitis HLS, made up by the structure of real ones, and everything that is none."""

import shutil
from pathlib import Path

import pytest

from egru import csynth_report
from egru.csynth_report import read_report
from sw_model.errors import UserError
from tests.egru.conftest import egru

REPORT = Path(__file__).parent / "data" / "csynth.xml"
TEXT = REPORT.read_text()


def test_the_report_says_what_vitis_says() -> None:
    assert egru("report", REPORT, "--json").json() == {
        "file": str(REPORT),
        "version": "2023.2",
        "top": "egru_top",
        "part": "xc7a100t-csg324-1",
        "clock": {"target_ns": 10.0, "uncertainty_ns": 2.7, "estimated_ns": 7.25, "estimated_mhz": 1000 / 7.25},
        "latency": {"min": 61, "avg": None, "max": 1234567},
        "interval": {"min": 40, "max": 65560},
        "resources": {
            "lut": {"used": 7300, "available": 63400},
            "ff": {"used": 5100, "available": 126800},
            "bram_18k": {"used": 15, "available": 270},
            "dsp": {"used": 21, "available": 240},
            "uram": {"used": 0, "available": 0},
        },
        "modules": [
            {
                "name": "layer0_lane0",
                "estimated_ns": 7.25,
                "latency": {"min": None, "avg": None, "max": None},
                "interval": 65550,
                **{"lut": 420, "ff": 310, "bram_18k": 2, "dsp": 1, "uram": 0},
            },
            {
                "name": "egru_top",
                "estimated_ns": 7.25,
                "latency": {"min": 61, "avg": None, "max": 1234567},
                "interval": 65560,
                **{"lut": 7300, "ff": 5100, "bram_18k": 15, "dsp": 21, "uram": 0},
            },
        ],
    }


def test_the_table_shows_the_same() -> None:
    said = egru("report", REPORT).out
    for words in ("7.25 ns, 137.93 MHz", "min 61, avg ?, max 1,234,567", "7,300 of 63,400", "layer0_lane0", "? to ?"):
        assert words in said


def test_names_in_a_report_are_no_markup(tmp_path: Path) -> None:
    path = tmp_path / "csynth.xml"
    path.write_text(TEXT.replace("layer0_lane0", "[/red]lane").replace("2023.2", "[bold]").replace("egru_top", "[/]"))
    done = egru("report", path)
    assert done.code == 0
    assert "[/red]lane" in done.out
    assert "[bold]" in done.out


@pytest.mark.parametrize(
    "place",
    [
        "build/egru/solution1/syn/report/csynth.xml",
        "egru/solution1/syn/report/csynth.xml",
        "solution1/syn/report/csynth.xml",
        "syn/report/csynth.xml",
        "csynth.xml",
    ],
)
def test_a_folder_is_looked_through(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(REPORT, path)
    assert egru("report", tmp_path, "--json").json()["file"] == str(path)


def test_the_report_of_one_module_and_of_an_older_version_can_be_read(tmp_path: Path) -> None:
    single = TEXT[: TEXT.index("    <ModuleInformation>")] + "</profile>"
    path = tmp_path / "egru_top_csynth.xml"
    path.write_text(single.replace("<DSP>", "<DSP48E>").replace("</DSP>", "</DSP48E>").replace("<URAM>0</URAM>", ""))
    found = read_report(path)
    assert (found["modules"], found["resources"]["dsp"]["used"]) == ([], 21)
    assert found["resources"]["uram"] == {"used": None, "available": None}


BOMB = '<!DOCTYPE profile [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TEXT[: len(TEXT) // 2], r"is truncated or no XML \(no element found|is truncated or no XML"),
        ("", "is truncated or no XML"),
        ("LUT 7300\n", "is truncated or no XML"),
        ("\0" * 100, "is truncated or no XML"),
        ("<html><body>not found</body></html>", "is no synthesis report of Vitis HLS"),
        ("<profile><UserAssignments/></profile>", "is no synthesis report of Vitis HLS"),
        (TEXT.replace("7300", "many"), "LUT = 'many' in .* is no amount"),
        (TEXT.replace("7300", "-1"), "LUT = '-1' in .* is no amount"),
        (TEXT.replace("7300", "nan"), "LUT = 'nan' in .* is no amount"),
        (TEXT.replace("7300", "1e300"), "LUT = '1e300' in .* is no amount"),
        (BOMB + TEXT.replace("egru_top", "&c;"), "has a document type, which no report of Vitis HLS has"),
        ('<!DOCTYPE profile SYSTEM "file:///etc/passwd">' + TEXT, "has a document type"),
        ('<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + TEXT.replace("egru_top", "&x;"), "has a document type"),
        (TEXT.replace("egru_top", "&x;"), r"is truncated or no XML \(undefined entity"),
        ("<profile>" * 1000 + "</profile>" * 1000, "nests elements more than 64 deep"),
        (TEXT.replace("<Name>layer0_lane0</Name>", "<Name>layer0_lane0</Name></Module><Module>"), "has no latency or no resources"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "csynth.xml"
    path.write_text(text)
    with pytest.raises(UserError, match=expected):
        read_report(path)
    done = egru("report", path)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert str(path) in done.err


def test_a_report_of_extreme_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csynth_report, "MAX_BYTES", len(TEXT) - 1)
    with pytest.raises(UserError, match=r"csynth\.xml of \d,\d+ bytes exceeds \d,\d+; give the csynth\.xml of Vitis HLS"):
        read_report(REPORT)


def test_a_report_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = egru("report", tmp_path / "absent")
    assert (done.code, done.err) == (2, f"error: report {tmp_path / 'absent'} does not exist; {csynth_report.REMEDY}\n")
    done = egru("report", tmp_path)
    assert done.code == 2
    assert f"folder {tmp_path} holds no csynth.xml; run make vitis in it, or give the csynth.xml" in done.err
