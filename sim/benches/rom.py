"""egru_rom: the word of two clock edges ago, for every address, sliced or not, with contents of its own or loaded."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from hls_gen.memory_image import MemoryImage
from sim.drivers import start_clock
from sim.runner import BenchResult, Parameter, bench_seed, run_bench, write_report

READS = 500
LOADABLE, SINGLE_PORT = 2, 3
MEMORY = 0x5A3


def launch(width: int, depth: int, slices: int, weights: int = 0, seed: int = 1) -> BenchResult:
    """Run the bench on random contents, which must lie in ``slices`` files."""
    image = MemoryImage("contents", width, _words(width, depth, seed))
    assert len(image.files()) == slices
    # A word narrower than the bus takes its data from the top.
    load_bits = -(-width // 32) * 32 + 32
    parameters: dict[str, Parameter] = {"Width": width, "Depth": depth, "InitFile": image.name, "Weights": weights}
    parameters |= {"Memory": MEMORY, "LoadBits": load_bits}
    return run_bench("egru_rom", "sim.benches.rom", parameters=parameters, files=image.files(), seed=seed)


def _words(width: int, depth: int, seed: int) -> tuple[int, ...]:
    rng = random.Random(seed)
    return tuple(rng.getrandbits(width) for _ in range(depth))


async def _load(dut: Any, rng: random.Random, words: list[int], count: int) -> tuple[int, int]:
    """Write ``count`` words of this memory, among writes to others and cycles without any; return how many of each there were."""
    width, load_bits = int(dut.Width.value), int(dut.LoadBits.value)
    whole = -(-width // 32) * 32
    mine = other = 0
    places = rng.sample(range(len(words)), count)
    while places:
        write, memory = rng.random() < 0.8, MEMORY if rng.random() < 0.7 else MEMORY ^ 1 << rng.randrange(12)
        hit = write and memory == MEMORY
        word, value = places[-1] if hit else rng.randrange(len(words)), rng.getrandbits(width)
        # What stands beside the word in the bus is of no concern.
        data = (rng.getrandbits(whole) >> width << width | value) << load_bits - whole | rng.getrandbits(load_bits - whole)
        dut.load_i.value = ((int(write) << 12 | memory) << 16 | word) << load_bits | data
        await RisingEdge(dut.clk_i)
        if hit:
            words[places.pop()] = value
        mine, other = mine + hit, other + (not hit)
    dut.load_i.value = 0
    return mine, other


@cocotb.test()
async def returns_its_contents(dut: Any) -> None:
    """Random addresses without a gap, and every address at least once; writes on the load bus change it only when it is loadable."""
    rng, words = random.Random(bench_seed()), list(_words(int(dut.Width.value), int(dut.Depth.value), bench_seed()))
    dut.load_i.value = 0
    start_clock(dut)
    await RisingEdge(dut.clk_i)
    loaded, weights = words.copy(), int(dut.Weights.value)
    # Of what starts empty, every word.
    mine, other = await _load(dut, rng, loaded, len(words) if weights == SINGLE_PORT else max(1, len(words) * 3 // 4))
    assert mine >= len(words) * 3 // 4
    if weights in (LOADABLE, SINGLE_PORT):
        words = loaded
    # two more, so that the last answers are seen too
    addresses = [*range(len(words)), *(rng.randrange(len(words)) for _ in range(READS)), 0, 0]
    found = []
    for address in addresses:
        dut.addr_i.value = address
        await RisingEdge(dut.clk_i)
        found.append(dut.data_o.value)
    assert [int(word) for word in found[2:]] == [words[address] for address in addresses[:-2]]
    write_report({"written": mine, "others": other})
