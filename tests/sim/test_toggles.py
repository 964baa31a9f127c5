"""The toggle counter against changes counted by hand."""

from pathlib import Path

import pytest

from sim.build_cache import BenchError
from sim.runner import run_bench
from sim.toggles import read_toggles, toggle_counter
from tests.sim.toggling_bench import EDGES

SOURCE = Path(__file__).parent / "toggling.sv"


def test_every_register_bit_counts_once_and_only_while_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SOURCE.parent))
    counter = toggle_counter("toggling", [SOURCE], "active_i")
    result = run_bench("toggling", "toggling_bench", sources=[SOURCE, counter], seed=3)
    # The bench sees the count that the next edge changes, and drives after it.
    first = result.report["before"] + 1
    counts = range(first, first + EDGES)
    changed = sum((count % 256 ^ (count + 1) % 256).bit_count() for count in counts)
    assert read_toggles(result.run_dir) == {
        "toggling": changed + EDGES * (6 + 2 + 2 + 2),
        "gen_leaves[0].leaf": sum(count & 1 for count in counts),
        "gen_leaves[1].leaf": sum(count >> 1 & 1 for count in counts),
        "slow": sum(count % 4 == 3 for count in counts),
    }


def test_sources_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.sv"
    broken.write_text("module broken (input logic clk_i); nonsense endmodule\n")
    with pytest.raises(BenchError, match=r"build of toggle_counter failed .*\n.*broken\.sv"):
        toggle_counter("broken", [broken], "clk_i")
