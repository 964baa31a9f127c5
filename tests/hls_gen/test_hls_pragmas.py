"""Every pragma is one that Vitis HLS knows, with options that it takes, where it takes them, and names something that is there.

The vendor's tool was not at hand. What stands here follows its manual (UG1399) and the parser of its front end, which is public
(github.com/Xilinx/hls-llvm-project, clang/lib/Parse/ParseXlxPragma.cpp): for an unknown option it ignores the pragma, with a warning.
"""

import re
from dataclasses import dataclass

import pytest

from hls_gen.hardware_config import HardwareConfig
from hls_gen.hls_backend import HLS_LIBRARY, SIMULATION_ONLY, generate
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model

CODE = r"[A-Za-z_]\w*(::\w+)?|\d+"  # a number, or a name of a constant
NAME = r"[A-Za-z_]\w*"
#: By pragma: the options, what they may be set to, and those that it cannot do without.
OPTIONS: dict[str, tuple[dict[str, str], set[str]]] = {
    "array_partition": ({"variable": NAME, "type": "block|cyclic|complete", "factor": CODE, "dim": CODE}, {"variable"}),
    "bind_storage": ({"variable": NAME, "type": "rom_1p|rom_2p|rom_np|ram_1p|ram_2p", "impl": "bram|lutram|uram"}, {"variable", "type"}),
    "dataflow": ({}, set()),
    "dependence": (
        {"variable": NAME, "type": "inter|intra", "direction": "RAW|WAR|WAW", "distance": CODE, "dependent": "true|false"},
        {"variable", "type", "dependent"},
    ),
    "inline": ({}, set()),
    "interface": ({"mode": "axis|s_axilite|ap_ctrl_hs|ap_ctrl_chain|ap_ctrl_none", "port": NAME}, {"mode", "port"}),
    "loop_tripcount": ({"min": CODE, "max": CODE, "avg": CODE}, {"max"}),
    "pipeline": ({"II": CODE}, set()),
    "reset": ({"variable": NAME}, {"variable"}),
    "stream": ({"variable": NAME, "depth": CODE}, {"variable", "depth"}),
}
IN_LOOPS = {"dependence", "loop_tripcount", "pipeline"}
IN_FUNCTIONS = set(OPTIONS) - IN_LOOPS
MODEL = random_model(RandomModelSpec(hidden=(12, 10), classes=9, tokens=7))
FEATURES = random_model(RandomModelSpec(hidden=(12, 10), classes=9, features=7))
SHAPES = [HardwareConfig(lanes=(4, 2, 3)), HardwareConfig(lanes=1), HardwareConfig(lanes=(6, 5, 2), entry_format="gate-group")]


@dataclass(frozen=True)
class Pragma:
    """A pragma as it stands in a file."""

    file: str
    line: int
    name: str
    options: dict[str, str]
    scope: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.name} {self.options}"


def sources(config: HardwareConfig, model: QuantizedModel = MODEL) -> dict[str, str]:
    code = {f"lib/{path.name}": path.read_text() for path in HLS_LIBRARY.glob("*.hpp")} | generate(model, config).sources
    # What only Bambu sees is left out, its lines are kept.
    return {
        name: re.sub(
            r"^#ifdef __BAMBU__\n(.*?)^#endif$", lambda part: "\n" * part.group().count("\n"), text, flags=re.MULTILINE | re.DOTALL
        )
        for name, text in code.items()
        if name not in SIMULATION_ONLY
    }


def find_pragmas(file: str, text: str) -> list[Pragma]:
    found = []
    lines = text.splitlines()
    for index, line in enumerate(lines):
        match = re.fullmatch(r"\s*EGRU_PRAGMA\(HLS (\w+)(.*)\)", line)
        if not match:
            assert not re.match(r"\s*(#pragma|_Pragma|EGRU_PRAGMA)", line), f"{file}:{index + 1}: {line}"
            continue
        options = dict(re.findall(r"\s(\w+) = (\S+)", match.group(2)))
        assert "".join(f" {key} = {value}" for key, value in options.items()) == match.group(2), line
        found.append(Pragma(file, index + 1, match.group(1), options, scope_of(lines, index)))
    return found


def scope_of(lines: list[str], index: int) -> str:
    """Return the head of the block that line ``index`` is in."""
    depth = 0
    for number in range(index - 1, -1, -1):
        code = lines[number].partition("//")[0]
        depth += code.count("}") - code.count("{")
        if depth < 0:
            start = number
            while not re.match(r"\s*(template|static|void|for|while|if|struct|typename|number|inline|#)", lines[start]):
                start -= 1
            return " ".join(line.strip() for line in lines[start : number + 1])
    raise AssertionError("a pragma outside of all blocks")


def mistakes(pragma: Pragma, text: str) -> list[str]:
    if pragma.name not in OPTIONS:
        return [f"{pragma}: no pragma of this name"]
    known, needed = OPTIONS[pragma.name]
    found = [f"{pragma}: {name} is missing" for name in needed - set(pragma.options)]
    found += [f"{pragma}: option {name} is not known" for name in set(pragma.options) - set(known)]
    found += [
        f"{pragma}: {name} cannot be {value}"
        for name, value in pragma.options.items()
        if name in known and not re.fullmatch(known[name], value)
    ]
    in_loop = bool(re.match(r"(for|while)\b", pragma.scope))
    if in_loop != (pragma.name in IN_LOOPS):
        found.append(f"{pragma}: stands in '{pragma.scope}'")
    if pragma.name in ("interface", "dataflow") and not pragma.scope.startswith("void egru_top("):
        found.append(f"{pragma}: is for the top function")
    if pragma.name == "interface" and pragma.options["port"] != "return" and f"& {pragma.options['port']}" not in pragma.scope:
        found.append(f"{pragma}: no port of this name")
    variable = pragma.options.get("variable")
    if variable and not re.search(rf"\b{variable}(\[[^;]*\])?( = [^;]*)?;|\b{variable}\[[^]]*\] = \{{", text):
        found.append(f"{pragma}: no variable of this name")
    return found


@pytest.mark.parametrize(("config", "model"), [*((config, MODEL) for config in SHAPES), (SHAPES[0], FEATURES)])
def test_every_pragma_is_one_that_vitis_takes(config: HardwareConfig, model: QuantizedModel) -> None:
    code = sources(config, model)
    tables = code["egru_tables.hpp"]
    pragmas = [pragma for name, text in code.items() for pragma in find_pragmas(name, text)]
    assert {pragma.name for pragma in pragmas} == set(OPTIONS)
    assert [problem for pragma in pragmas for problem in mistakes(pragma, tables + code[pragma.file])] == []


def test_every_port_and_stream_of_the_top_has_its_pragma() -> None:
    text = sources(SHAPES[0])["egru_top.cpp"]
    pragmas = find_pragmas("egru_top.cpp", text)
    head = text[text.index("void egru_top(") :].partition("{")[0]
    ports = re.findall(r"& (\w+)", head)
    assert len(ports) == 2 + 2 + 2
    modes = {pragma.options["port"]: pragma.options["mode"] for pragma in pragmas if pragma.name == "interface"}
    assert modes == {
        **{port: "axis" for port in ports if port.endswith(("axis", "events"))},
        **dict.fromkeys(("token_errors", "model_hash", "return"), "s_axilite"),
    }
    streams = re.findall(r"static egru::stream<\d+> (\w+);", text)
    assert [pragma.options["variable"] for pragma in pragmas if pragma.name == "stream"] == streams
    assert len(streams) > 20


def test_every_memory_of_lanes_is_bound_to_block_ram() -> None:
    code = sources(SHAPES[0])
    bound = {pragma.options["variable"] for pragma in find_pragmas("", code["egru_model.hpp"]) if pragma.options.get("impl") == "bram"}
    assert bound == set(re.findall(r"\b(\w+_lane\d+_entries_words)\[", code["egru_tables.hpp"]))
    assert len(bound) == 4 + 2 + 3


@pytest.mark.parametrize(("model", "reader"), [(MODEL, "accept_token"), (FEATURES, "accept_features")])
def test_the_top_is_a_canonical_dataflow_region(model: QuantizedModel, reader: str) -> None:
    """Nothing but declarations of streams and calls of functions without a result; each stream has one reader and one writer."""
    text = sources(SHAPES[0], model)["egru_top.cpp"]
    body = text[text.index("void egru_top(") :].partition("{\n")[2].rpartition("\n}\n#endif")[0]
    statements = [line.strip() for line in body.splitlines() if not line.strip().startswith(("EGRU_PRAGMA", "//"))]
    calls = [line for line in statements if not line.startswith("static egru::stream<")]
    assert all(re.fullmatch(r"[\w:<>]+\([\w, ]+\);", call) for call in calls)
    for function in {call.partition("(")[0] for call in calls} - {f"egru::{reader}<egru::model>"}:
        assert re.search(rf"^void {function}\(", text, re.MULTILINE)
    for stream in re.findall(r"static egru::stream<\d+> (\w+);", body):
        assert sum(bool(re.search(rf"\b{stream}\b", call)) for call in calls) == 2, stream


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("lib/lane.hpp", "HLS pipeline II = 1", "HLS pipelines II = 1", "no pragma of this name"),
        ("lib/lane.hpp", "distance = 2", "distances = 2", "option distances is not known"),
        ("lib/lane.hpp", "variable = sums", "variable = summs", "no variable of this name"),
        ("lib/update.hpp", "type = block", "type = blocks", "type cannot be blocks"),
        ("egru_model.hpp", "variable = layer0_lane0_entries_words", "variable = layer9_lane0_entries_words", "no variable of this name"),
        ("egru_model.hpp", " type = rom_1p impl = bram", " impl = bram", "type is missing"),
        ("egru_top.cpp", "mode = axis port = m_axis", "mode = axis port = n_axis", "no port of this name"),
        ("egru_top.cpp", "mode = axis port = m_axis", "mode = stream port = m_axis", "mode cannot be stream"),
        ("lib/readout.hpp", "array_partition variable = found type", "pipeline variable = found type", "stands in"),
    ],
)
def test_a_wrong_pragma_is_found(file: str, old: str, new: str, expected: str) -> None:
    code = sources(SHAPES[0])
    assert old in code[file]
    text = code[file].replace(old, new, 1)
    problems = [problem for pragma in find_pragmas(file, text) for problem in mistakes(pragma, code["egru_tables.hpp"] + text)]
    assert any(expected in problem for problem in problems), problems
