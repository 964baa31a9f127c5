from sim.runner import run_bench


def test_crc32() -> None:
    run_bench("egru_crc32", "sim.benches.crc32")
