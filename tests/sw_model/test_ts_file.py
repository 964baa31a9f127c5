from pathlib import Path

import numpy as np
import pytest

from sw_model import ts_file
from sw_model.errors import UserError
from sw_model.feature_sources import import_ts
from sw_model.ts_file import read_ts

HEADER = """# a comment, in any encoding: \xe9
%# another
@problemName Motion
@timeStamps false
@missing false
@univariate false
@dimensions 2
@equalLength false
@classLabel true up down
@data
"""
SEQUENCES = """1,2,3:4,5,6:up
-1.5:1e2:down

0.25,0:0,1:up
"""


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("latin-1"))
    return path


def test_sequences_of_different_lengths(tmp_path: Path) -> None:
    found = read_ts(write(tmp_path / "a.ts", HEADER + SEQUENCES))
    assert (found.name, found.class_names, found.labels, found.dimensions) == ("Motion", ("up", "down"), (0, 1, 0), 2)
    assert [one.tolist() for one in found.sequences] == [[[1, 4], [2, 5], [3, 6]], [[-1.5, 100]], [[0.25, 0], [0, 1]]]


def test_a_header_of_few_words_in_any_case(tmp_path: Path) -> None:
    found = read_ts(write(tmp_path / "short.ts", "@CLASSLABEL True 1 2\r\n@UNIVARIATE true\r\n@Data\r\n1,2:1\r\n3,4:2\r\n"))
    assert (found.name, found.labels, found.dimensions) == ("short", (0, 1), 1)


EQUAL = HEADER.replace("@equalLength false", "@equalLength true\n@seriesLength 3")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no @data"),
        (HEADER.removesuffix("@data\n"), "has no @data"),
        (HEADER, "holds no sequence after @data"),
        (SEQUENCES, r"line 1 of .*'1,2,3:4,5,6:up' is no @key"),
        (HEADER.replace("true up down", "false") + SEQUENCES, "does not name two or more classes"),
        (HEADER.replace("true up down", "true up up") + SEQUENCES, "does not name two or more classes"),
        (HEADER.replace("@classLabel true up down", "@targetLabel true") + SEQUENCES, "is a regression with one number for each"),
        (HEADER.replace("@timeStamps false", "@timeStamps true") + SEQUENCES, "@timeStamps of .* are not read"),
        (
            HEADER.replace("@dimensions 2", "@dimensions 1000000000000") + SEQUENCES,
            "line 11 of .* has 2, and the header says @dimensions 1000",
        ),
        (HEADER.replace("@dimensions 2", "@dimensions two") + SEQUENCES, "the header says @dimensions two"),
        (HEADER.replace("@univariate false", "@univariate true") + SEQUENCES, "the header says @univariate true"),
        (EQUAL + SEQUENCES, "line 13 of .* has 1, and the header says @serieslength 3"),
        (HEADER + "1,2:3,4\n", "class '3,4' in line 11 of"),
        (HEADER + "1,2:3,4:left\n", "class 'left' in line 11 of"),
        (HEADER + "1,2,3\n", "has no colon"),
        (HEADER + "1,2:3:up\n", "dimension 1 in line 11 of .* has 1 numbers, and the first 2"),
        (HEADER + "1,2:3,4:up\n1:up\n", "has 1 dimensions, and the first sequence 2"),
        (HEADER + "1,?:3,4:up\n", "dimension 0 in line 11 of .* has a missing value"),
        (HEADER + "1,NaN:3,4:up\n", "number 1 of dimension 0 in line 11 of .* is not finite"),
        (HEADER + "1,2:-1e300,4:up\n", "number 0 of dimension 1 in line 11 of .* is not finite"),
        (HEADER + "1,two:3,4:up\n", "dimension 0 in line 11 of .* is not numbers with commas"),
        (HEADER + ":3,4:up\n", "dimension 0 in line 11 of .* is not numbers with commas"),
        (HEADER + "1,2:3,4:\xe9\n", "line 11 of .* is not UTF-8"),
        (HEADER + "@dimensions 3\n", "has no colon"),
        (HEADER.replace("up down", "u" * 5000 + " down") + "1:1:" + "x" * 5000, "is not in the header's @classLabel"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path / "a.ts", text)
    with pytest.raises(UserError, match=said) as raised:
        read_ts(path)
    assert len(str(raised.value)) < 400 + len(str(path))


def test_a_line_that_is_too_long_is_not_taken_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ts_file, "MAX_FRAMES", 4)
    assert read_ts(write(tmp_path / "a.ts", HEADER + "1,2,3,4:1,2,3,4:up")).sequences[0].shape == (4, 2)
    with pytest.raises(UserError, match=r"dimension 0 in line 11 of .* has more than 4 numbers"):
        read_ts(write(tmp_path / "a.ts", HEADER + "1,2,3,4,5:1,2,3,4,5:up"))


def test_a_problem_of_two_files(tmp_path: Path) -> None:
    train = write(tmp_path / "a_TRAIN.ts", HEADER + SEQUENCES * 4)
    test = write(tmp_path / "a_TEST.ts", HEADER.replace("up down", "down up") + SEQUENCES)
    found = import_ts(train, test, 0.25, frame_rate=10.0)
    assert (found.name, found.class_names, found.feature_names) == ("Motion", ("up", "down"), ("dimension0", "dimension1"))
    assert [np.asarray(split.labels).tolist() for split in (found.train, found.valid, found.test)] == [
        [0, 1, 0, 1, 0, 0, 0, 1, 0],
        [0, 1, 0],
        [0, 1, 0],
    ]
    assert found.test.features.tolist() == [[1, 4], [2, 5], [3, 6], [-1.5, 100], [0.25, 0], [0, 1]]
    assert found.frame_rate == 10.0
    write(test, HEADER.replace("up down", "up left") + "1:1:up\n")
    with pytest.raises(UserError, match="differ in classes or dimensions"):
        import_ts(train, test)
