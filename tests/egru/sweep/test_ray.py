"""A real Ray cluster of two nodes with a worker process each, on this machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from egru.sweep.cache import Cache, Entry
from egru.sweep.engine import Failure, LocalEngine, RayEngine
from sw_model.errors import UserError
from tests.egru.sweep.fake_stages import diamond, fake, lines, read, run

pytest.importorskip("ray", reason="Ray is not installed: pip install 'egru-fpga[cluster]'")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(**{name: value for name, value in node.items() if name != "include_dashboard"})
    yield cluster.address
    cluster.shutdown()


def test_a_cluster_gives_what_this_machine_gives_and_a_killed_worker_loses_nothing(address: str, tmp_path: Path) -> None:
    logs, caches = [tmp_path / "ray.log", tmp_path / "local.log"], [Cache(tmp_path / "ray"), Cache(tmp_path / "local")]
    made = []
    for log, cache in zip(logs, caches, strict=True):
        wanted = diamond(log, dies=1, marker=log.with_suffix(".marker"))
        bad = fake(log, "bad", fails="user")
        engine = RayEngine(cache, address) if cache is caches[0] else LocalEngine(cache, 2)
        states = run([*wanted, bad, *(fake(log, f"more{n}", bad if n == 3 else wanted[n % 2]) for n in range(4))], cache, engine)
        failure = states[bad.key]
        assert isinstance(failure, Failure)
        results = {path.name.split("-")[0] + str(read(path)) for path in cache.root.glob("*-*")}
        made.append((results, failure.reason.split("; see")[0].replace(str(cache.root), "").replace(bad.key[:24], "")))
        assert sum(isinstance(state, Entry) for state in states.values()) == 7
    assert made[0] == made[1]
    assert sorted(lines(logs[0])) == sorted(lines(logs[1]))
    assert lines(logs[0]).count("right") == 2
    workers = {line.split()[1] for line in logs[0].read_text().splitlines()}
    assert len(workers) >= 2
    assert str(os.getpid()) not in workers


def test_a_cluster_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"^the Ray cluster at 127\.0\.0\.1:1 cannot be reached \(.*; start it with ray start"),
        RayEngine(Cache(tmp_path), "127.0.0.1:1"),
    ):
        pass
