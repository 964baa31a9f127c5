from pathlib import Path

import numpy as np
import pytest

from sw_model.csv_file import import_csv
from sw_model.errors import UserError

TRAIN = """sequence,label,group,left,right
a,9,ann,1,2
a,9,ann,3,4
b,10,ben,5,-6e-1
c,9,cid,7,8
c,9,cid,9,10
"""
TEST = "sequence,label,group,left,right\nz,10,dot,0,1\n"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.csv").write_bytes(text.encode())
    return folder


def test_a_classification(tmp_path: Path) -> None:
    found = import_csv(
        write(tmp_path, train=TRAIN, valid=TEST.replace("dot", "eve"), test="\ufeff" + TEST.replace("\n", "\r\n")), frame_rate=5.0
    )
    assert (found.task, found.class_names, found.feature_names) == ("classification", ("9", "10"), ("left", "right"))
    assert found.train.features.tolist() == [[1, 2], [3, 4], [5, np.float32(-0.6)], [7, 8], [9, 10]]
    assert found.train.offsets.tolist() == [0, 2, 3, 5]
    assert np.asarray(found.train.labels).tolist() == [0, 1, 0]
    assert [np.asarray(split.groups).tolist() for split in (found.train, found.valid, found.test)] == [[0, 1, 2], [4], [3]]
    assert (found.name, found.frame_rate) == (tmp_path.name, 5.0)


def test_validation_is_whole_groups_of_train(tmp_path: Path) -> None:
    found = import_csv(write(tmp_path, train=TRAIN, test=TEST), 0.3)
    assert np.asarray(found.train.groups).tolist() == [0, 2]
    assert np.asarray(found.valid.groups).tolist() == [1]


def test_a_regression(tmp_path: Path) -> None:
    train = "target:speed,x,sequence,target:turn\n" + "".join(f"{i},{i / 2},{i // 4},{-i}\n" for i in range(12))
    found = import_csv(write(tmp_path, train=train, test=train), 0.3, source="a wheel")
    assert (found.task, found.target_names, found.feature_names, found.source) == ("regression", ("speed", "turn"), ("x",), "a wheel")
    assert found.test.targets is not None
    assert found.test.targets.tolist() == [[i, -i] for i in range(12)]
    assert found.test.features[:, 0].tolist() == [i / 2 for i in range(12)]
    assert (found.train.sequences, found.valid.sequences, found.test.offsets.tolist()) == (2, 1, [0, 4, 8, 12])


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ("", r"columns of .*train\.csv are not sequence, features, and either label or target:NAME"),
        (TRAIN.replace("sequence,", "series,"), "are not sequence, features"),
        ("sequence,label,group\na,1,b\n", "are not sequence, features"),
        ("sequence,left\na,1\n", "are not sequence, features"),
        ("sequence,label,target:x,left\na,1,1,1\n", "are not sequence, features"),
        (TRAIN.replace("right", "left", 1), r"column 'left' of .* stands there twice"),
        ("sequence,label,group,left,right\n", "has no row under its columns"),
        (TRAIN.replace("7,8", "7,8,9"), "line 5 of .* has 6 cells for 5 columns"),
        (TRAIN.replace("7,8", "7"), "line 5 of .* has 4 cells for 5 columns"),
        (TRAIN.replace("7,8", "7,x"), "line 5 of .* holds what is no number"),
        (TRAIN.replace("7,8", "7,"), "line 5 of .* holds what is no number"),
        (TRAIN.replace("7,8", "7,nan"), "line 5 of .* holds nan, which is not finite"),
        (TRAIN.replace("7,8", "7,1e300"), "line 5 of .* holds 1e.300, which is not finite in 32 bits"),
        (TRAIN + "a,9,ann,1,1\n", "sequence 'a' in line 7 of .* goes on after another one"),
        (TRAIN.replace("a,9,ann,3", "a,10,ann,3"), "sequence 'a' in line 3 of .* has another label or group"),
        (TRAIN.replace("a,9,ann,3", "a,9,ben,3"), "sequence 'a' in line 3 of .* has another label or group"),
        (TRAIN.replace("10,ben", ",ben"), "class '10' in .*test.csv is not in train.csv"),
        (TRAIN + ",,,1,1\n", "class name '' is not 1 to 200 signs"),
        (TRAIN + "d,9,dan," + "1" * 200_000 + ",1\n", r"line 7 of .* is not CSV \(field larger"),
        (TRAIN.replace("left", "Left"), "columns of .*test.csv are not those of train.csv"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, train: str, said: str) -> None:
    write(tmp_path, train=train, test=TEST)
    with pytest.raises(UserError, match=said) as raised:
        import_csv(tmp_path)
    assert len(str(raised.value)) < 400 + len(str(tmp_path))


def test_missing_and_garbled_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.csv does not exist"):
        import_csv(tmp_path)
    write(tmp_path, train=TRAIN, test=TEST)
    (tmp_path / "train.csv").write_bytes(TRAIN.encode() + b"d,9,\xff,1,1\n")
    with pytest.raises(UserError, match="is not UTF-8"):
        import_csv(tmp_path)
