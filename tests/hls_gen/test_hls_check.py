"""What no HLS compiler takes is found by name, file and line; the library and the generated wiring hold nothing of it."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from hls_gen import hls_backend
from hls_gen.cpp_source import read
from hls_gen.hardware_config import HardwareConfig
from hls_gen.hls_backend import HLS_LIBRARY, SIMULATION_ONLY, TABLES_SOURCE, check_folder, generate
from hls_gen.hls_check import check_synthesisable, read_sources, require_synthesisable
from hls_gen.hls_project import write_hls_project
from hls_gen.render import render
from sw_model.errors import UserError
from sw_model.random_model import RandomModelSpec, random_model
from tests.egru.conftest import egru

MODEL = random_model(RandomModelSpec(hidden=(12, 10), classes=9, tokens=7))
CONFIG = HardwareConfig(lanes=(4, 2, 3))
PLANTED = "lib/lane.hpp"


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    code = {f"lib/{path.name}": path.read_text() for path in HLS_LIBRARY.glob("*.hpp")} | generate(MODEL, CONFIG).sources
    return {name: text for name, text in code.items() if name not in (*SIMULATION_ONLY, TABLES_SOURCE)}


def plant(sources: dict[str, str], code: str) -> tuple[dict[str, str], int]:
    """Put code into the namespace of a library header; return all sources, and the line where it begins."""
    before, mark, after = sources[PLANTED].partition("namespace egru {\n")
    assert mark
    return sources | {PLANTED: f"{before}{mark}{code}\n{after}"}, (before + mark).count("\n") + 1


def test_library_and_generated_code_are_clean(sources: dict[str, str]) -> None:
    assert {PLANTED, "lib/update.hpp", "egru_top.cpp", "egru_model.hpp"} <= set(sources)
    assert check_synthesisable(sources) == []
    assert check_synthesisable({TABLES_SOURCE: generate(MODEL, CONFIG).sources[TABLES_SOURCE]}) == []


@pytest.mark.parametrize("hardware", [HardwareConfig(lanes=1), HardwareConfig(lanes=(4, 1), entry_format="gate-group")])
def test_other_shapes_are_clean(hardware: HardwareConfig) -> None:
    generated = generate(random_model(RandomModelSpec(hidden=(8,), classes=4, tokens=3)), hardware)
    assert check_synthesisable({name: text for name, text in generated.sources.items() if name not in SIMULATION_ONLY}) == []


def test_the_check_is_quick(sources: dict[str, str]) -> None:
    begin = time.process_time()
    check_synthesisable(sources)
    assert time.process_time() - begin < 0.3  # 0.03 measured; a shared machine is slower


def test_all_functions_of_the_library_are_seen(sources: dict[str, str]) -> None:
    found = {(function.scope, function.name) for name, text in sources.items() for function in read(name, text).functions}
    free = {"rescale", "saturate", "bits_of", "decode", "walk_columns", "update_neuron", "forward_events", "read_out", "egru_top"}
    members = {("sequencer", "own_events"), ("updater", "run"), ("reader", "run"), ("event_item", "unpack"), ("layer0_lane1", "entry")}
    assert {("", name) for name in free} | members <= found


@pytest.mark.parametrize(
    ("code", "construct", "rule"),
    [
        ("inline int* take() { return new int[4]; }", "new", "takes memory at run time"),
        ("inline void give(int* place) { delete place; }", "delete", "takes memory at run time"),
        ("inline void* take() { return malloc(4); }", "malloc()", "takes memory at run time"),
        ("inline void* take() { return std::calloc(4, 1); }", "std::calloc", "takes memory at run time"),
        ("inline auto take() { return std::make_unique<int>(1); }", "std::make_unique", "takes memory at run time"),
        ("struct owner { std::shared_ptr<int> all; };", "std::shared_ptr", "takes memory at run time"),
        ("struct words { std::vector<int> all; };", "std::vector", "not among the names of std"),
        ("struct words { std::map<int, int> all; };", "std::map", "not among the names of std"),
        ("using text = std::string;", "std::string", "not among the names of std"),
        ("using call = std::function<int(int)>;", "std::function", "not among the names of std"),
        ('inline void say() { std::cout << "x"; }', "std::cout", "not among the names of std"),
        ("inline int most(int* a) { return *std::max_element(a, a + 3); }", "std::max_element", "not among the names of std"),
        ("using namespace std;", "std", "hides which names"),
        ("namespace s = std;", "std", "hides which names"),
        ("struct base { virtual int get() { return 0; } };", "virtual", "at run time"),
        ("inline int call(int (*function)(int)) { return function(1); }", "(*function)()", "at run time"),
        ("inline void fail() { throw 1; }", "throw", "is an exception"),
        ("inline void jump() { goto end; end: return; }", "goto", "structured code"),
        ("inline int half(int x) { float y = x; return int(y); }", "float", "is floating point"),
        ("inline int half(int x) { return int(x * 0.5); }", "0.5", "is floating point"),
        ("inline int many(int x) { return int(x * 1e3); }", "1e3", "is floating point"),
        ("inline int half(int x) { return int(x * 0x1p-1); }", "0x1p-1", "is floating point"),
        ('inline void say() { printf("x"); }', "printf()", "calls the operating system"),
        ("inline int draw() { return rand(); }", "rand()", "calls the operating system"),
        ("thread_local int seen;", "thread_local", "needs threads"),
        ("#include <vector>", "#include <vector>", "is no header for synthesis"),
        ("#include <hls_math.h>", "#include <hls_math.h>", "is no header for synthesis"),
        ('#include "stdio.h"', '#include "stdio.h"', "is no header for synthesis"),
        ("#define TAKE(n) \\\n  new int[n]", "new", "takes memory at run time"),
        ("#define AGAIN while (true)", "while", "is a loop in a macro"),
        ("inline int fall(int n) { return n ? fall(n - 1) : 0; }", "fall -> fall", "is recursion"),
        ("template <int N> int fall() { if constexpr (N > 0) { return fall<N - 1>(); } return 0; }", "fall -> fall", "is recursion"),
        ("struct tree { int depth(int n) { return n ? depth(n - 1) : 0; } };", "tree::depth -> tree::depth", "is recursion"),
        ("struct tree { int depth(int n); };\ninline int tree::depth(int n) { return depth(n); }",
         "tree::depth -> tree::depth", "is recursion"),
        ("struct tree { tree* next; int depth() { return next->depth(); } };", "tree::depth -> tree::depth", "is recursion"),
        ("inline int outer(int n) { struct tree { static int depth(int n) { return depth(n); } }; return tree::depth(n); }",
         "tree::depth -> tree::depth", "is recursion"),
        ("inline int odd(int);\ninline int even(int n) { return n ? odd(n - 1) : 1; } inline int odd(int n) { return n ? even(n) : 0; }",
         "even -> odd -> even", "is recursion"),
    ],
)  # fmt: skip
def test_a_forbidden_construct_is_found_by_name_and_line(sources: dict[str, str], code: str, construct: str, rule: str) -> None:
    planted, line = plant(sources, code)
    found = check_synthesisable(planted)
    assert [(finding.file, finding.construct) for finding in found] == [(PLANTED, construct)]
    # Where a function is declared first, it is its body that counts.
    assert found[0].line == line + (code.count("\n") if code.startswith(("struct tree { int depth(int n); };", "inline int odd(")) else 0)
    assert rule in found[0].rule
    assert str(found[0]).startswith(f"{PLANTED}:{found[0].line}: {construct} ")
    assert str(found[0]).endswith(f"; {found[0].remedy}")


def test_recursion_is_followed_from_file_to_file(sources: dict[str, str]) -> None:
    planted, _ = plant(sources, "void layer0_merge();\ninline void back() { layer0_merge(); }")
    text = planted["lib/update.hpp"]
    body = "void merge_events("
    start = text.index("{\n", text.index(body)) + 2
    found = check_synthesisable(planted | {"lib/update.hpp": f"{text[:start]}  back();\n{text[start:]}"})
    assert [finding.construct for finding in found] == ["merge_events -> back -> layer0_merge -> merge_events"]


@pytest.mark.parametrize(("code", "odd"), [("inline void open() {", "{"), ("inline void close() }", "}"), ("int mixed(];", "]")])
def test_brackets_that_do_not_match_are_found(sources: dict[str, str], code: str, odd: str) -> None:
    (found,) = check_synthesisable(plant(sources, code)[0])
    assert (found.file, found.construct) == (PLANTED, odd)


LOOPS = [
    "while (n > 0) { --n; }",
    "while (n > 0) --n;",
    "do { --n; } while (n > 0);",
    "do --n; while (n > 0);",
    "for (;;) { --n; }",
    "for (int i = 0; i < n; ++i) { sum += i; }",
    "for (int i = n; i < 4; ++i) { sum += i; }",
    "for (int i = 0; i < size; ++i) { sum += i; }",
    "for (int i = 0; i < 4; ++n) { sum += i; }",
    "for (int i = 0; i < 4; ++i) { i -= n; }",
    "for (int i = 0; i < 4 && n < i; ++i) { sum += i; }",
    "for (int i = 0; i < 4; i += 2) { for (int j = 0; j < n; ++j) { sum += j; } }",
    "while (n > 0) { EGRU_PRAGMA(HLS loop_tripcount min = 0) --n; }",
    "while (n > 0) { EGRU_PRAGMA(HLS pipeline II = 1) --n; }",
    "while (n > 0) { { EGRU_PRAGMA(HLS loop_tripcount max = 4) } --n; }",
]


@pytest.mark.parametrize("loop", LOOPS)
def test_an_unbounded_loop_without_a_trip_count_is_found(sources: dict[str, str], loop: str) -> None:
    code = f"template <int N>\nint walk(int n, int sum) {{\n  int size = n;\n  {loop}\n  return sum + size;\n}}"
    planted, line = plant(sources, code)
    (found,) = check_synthesisable(planted)
    assert (found.file, found.line) == (PLANTED, line + 3)
    assert found.construct in ("while loop", "do loop", "for loop")
    assert "loop_tripcount" in found.remedy


@pytest.mark.parametrize(
    "loop",
    [
        "for (int i = 0; i < 4; ++i) { sum += i; }",
        "for (int i = N - 1; i >= 0; --i) sum += i;",
        "for (int i = 0; i != 2 * N + own; i += 2) { sum += i; }",
        "for (int i = 0; i < int(sizeof...(All)); i++) { sum += i; }",
        "for (int i = 0; i < sizes::most; ++i) { for (int j = 0; j < limit; ++j) { sum += j; } }",
        "for (const int value : table) { sum += value; }",
        "while (n > 0) { EGRU_PRAGMA(HLS loop_tripcount min = 0 max = 4) --n; }",
        "while (n > 0) { EGRU_PRAGMA(HLS pipeline) EGRU_PRAGMA(HLS loop_tripcount max = N) --n; }",
        "while (n > 0) {\n#pragma HLS loop_tripcount min=0 max=4\n --n; }",
        "do { EGRU_PRAGMA(HLS loop_tripcount min = 0 max = 4) --n; } while (n > 0);",
        "for (int i = 0; i < n; ++i) { EGRU_PRAGMA(HLS loop_tripcount max = limit) sum += i; }",
    ],
)
def test_a_bounded_loop_and_a_trip_count_are_accepted(sources: dict[str, str], loop: str) -> None:
    code = f"""
constexpr int limit = 9, other = 3;
struct sizes {{ static constexpr int most = 4; }};
template <int N, class... All>
int walk(int n, int sum, const int (&table)[4]) {{
  constexpr int own = N + limit;
  {loop}
  return sum + own;
}}"""
    assert check_synthesisable(plant(sources, code)[0]) == []


@pytest.mark.parametrize(
    "code",
    [
        "// new float, printf(1.5), while (true)",
        "/* goto\n   std::vector */",
        'constexpr const char* words = "new 1.5";  // and a \' here',
        'constexpr const char* words = R"x(new " 1.5)x";',
        "#if 0\nwhile (true) { new int; }\n#if 1\n1.5\n#endif\nfloat x;\n#endif",
        "struct item { item() = default; item(const item&) = delete; };",
        "struct item { int time; int free; int get() const { return time + free; } };",
        "inline bool same(item a, item b) { return a.time < b.time && a.free > (b.free); }",
        "constexpr int dots = 0x1E5 + 1'000 + 0b11;",
        "inline int use(int* all, int n) { return all[n] + sizeof(n); }",
        "template <class... All>\nvoid each(All&... all) { (all.write(1), ...); }",
        "struct left { int size() { return 1; } };\nstruct right { int size() { return left::size(); } };",
        "enum colours { red, green };\ninline colours operator!(colours c) { return c == red ? green : red; }",
    ],
)
def test_what_only_looks_forbidden_is_accepted(sources: dict[str, str], code: str) -> None:
    assert check_synthesisable(plant(sources, code)[0]) == []


def test_the_code_that_an_if_0_keeps_is_checked(sources: dict[str, str]) -> None:
    planted, line = plant(sources, "#if 0\nint x;\n#else\nfloat x;\n#endif")
    assert [(finding.line, finding.construct) for finding in check_synthesisable(planted)] == [(line + 3, "float")]


def test_generated_code_with_a_fault_is_not_handed_out(monkeypatch: pytest.MonkeyPatch, sources: dict[str, str]) -> None:
    require_synthesisable(sources)
    planted = "inline float half;\n"
    monkeypatch.setattr(hls_backend, "render", lambda name, **values: render(name, **values) + (planted if "model" in name else ""))
    with pytest.raises(AssertionError, match=r"cannot be synthesised\negru_model.hpp:\d+: float is floating point"):
        generate(MODEL, CONFIG)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_hls_project(MODEL, CONFIG, tmp_path / "hls")
    return tmp_path / "hls"


def test_verify_accepts_a_folder_as_it_was_generated(folder: Path) -> None:
    assert check_folder(folder) == []
    report = egru("verify", folder, "--json").json()
    assert (report["changes"], report["not_synthesisable"]) == ([], [])


def test_verify_reports_what_a_user_put_in(folder: Path) -> None:
    (folder / "hls" / "mine.hpp").write_text("#include <vector>\ninline int once() { return once(); }\n")
    places = [("mine.hpp", 1, "#include <vector>"), ("mine.hpp", 2, "once -> once")]
    assert [(finding.file, finding.line, finding.construct) for finding in check_folder(folder)] == places
    done = egru("verify", folder)
    assert done.code == 1
    assert "mine.hpp:1: #include <vector> is no header for synthesis; use " in done.out
    assert "mine.hpp:2: once -> once cannot be synthesised" in done.err
    done = egru("verify", folder, "--json")
    assert done.code == 1
    assert json.loads(done.out)["not_synthesisable"] == [*map(asdict, check_folder(folder))]


def test_a_source_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "hls" / "mine.hpp").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"mine\.hpp is not UTF-8 text"):
        read_sources(folder / "hls")
