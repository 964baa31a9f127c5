"""The committed comparison of RTL and HLS: both equal to the reference, and its page and the README's table made of it."""

import json
from pathlib import Path

from benchmarks.hls import PAGE, RESULT_FILE, Results, page, table

ROOT = Path(__file__).resolve().parents[2]


def committed() -> Results:
    return Results.model_validate(json.loads(RESULT_FILE.read_text()))


def test_both_backends_are_exact_on_enough_steps() -> None:
    results = committed()
    assert [backend.backend for backend in results.backends] == ["rtl", "hls"]
    for backend in results.backends:
        assert backend.mismatches == 0
        assert backend.steps >= 200
    assert len(results.neurons) == 2


def test_the_page_is_made_of_the_results() -> None:
    assert (ROOT / PAGE).read_text() == page(committed())


def test_the_table_of_the_readme_is_what_was_measured() -> None:
    assert table(committed()) in (ROOT / "README.md").read_text()


def test_the_page_says_how_fast_the_simulation_is() -> None:
    results = committed()
    assert results.csim is not None
    assert f"{results.csim.steps_per_second:,.0f} steps a second" in page(results)
    assert "## C simulation" not in page(results.model_copy(update={"csim": None}))
