"""Side by side with hls4ml on one recurrent layer of the same size, both in C simulation: ``python -m benchmarks.hls4ml_comparison``.

Both networks are drawn from one seed, not trained: 32 units behind 16 symbols, a linear decoder with 16 classes, 8-bit weights, dense and
with 90 % of the weights pruned by magnitude. hls4ml gets torch.nn.GRU, whose weights already lie on the 8-bit grid; this project gets its
own event-based GRU, fake-quantised with Brevitas. What is compared with what stands in the page that ``--report`` writes.

The blocks of code whose lines are counted are the functions of `BLOCKS`, and the benchmark runs these very functions.
"""

import ast
import copy
import importlib.metadata
import importlib.util
import inspect
import io
import re
import resource
import shutil
import textwrap
import time
import tokenize
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from pydantic import BaseModel, ConfigDict

from benchmarks.results_file import errors_to_exit_codes, require_results, write_results
from egru.output import progress_console, words_to_stderr
from hls_gen.hls_backend import HLS_FOLDER, TABLES_SOURCE
from sim.csim import find_compiler
from sw_model.errors import UserError
from sw_model.event_gru import Arithmetic, EventNetwork, NetworkOutput
from sw_model.export import export_network
from sw_model.macs import count_events, count_macs
from sw_model.output_folder import write_whole
from sw_model.pruning import apply_masks, magnitude_masks

RESULT_FILE = Path("benchmarks/results/hls4ml.json")
PAGE = "hls4ml_comparison.md"
WORK = Path("build/hls4ml")
SYMBOLS, UNITS, CLASSES = 16, 32, 16
#: Length of a sequence, which hls4ml must know when it generates. As many as symbols, so that it does not matter that hls4ml checks reuse
#: factors with the other of the two axes.
STEPS = 16
SEQUENCES = 500
#: Clock cycles for which hls4ml shares a multiplier in the Resource strategies; in the others every product has its own.
REUSE = 8
LANES = (4, 2)
SPARSITY = 0.9
WEIGHT_FRAC = 7
#: Both sides of a comparison are rounded to this grid too: that of the event values of the network here.
COARSE_FRAC = 8
SEED = 1
#: Runs of each C simulation, of which the fastest counts.
REPEATS = 3

HLS4ML, EGRU = "hls4ml", "egru-fpga"

Precision = Literal["default", "same bits", "wide"]


# The blocks a user writes, each with the imports that it needs.


def gru_network() -> torch.nn.Module:
    """Define the network that hls4ml gets."""
    from torch import Tensor, nn

    class GruNetwork(nn.Module):
        """A GRU and a linear decoder."""

        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(SYMBOLS, UNITS, batch_first=True)
            self.decoder = nn.Linear(UNITS, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            output, _ = self.gru(x)
            return self.decoder(output)  # type: ignore[no-any-return]

    return GruNetwork().eval()


def hls4ml_bits(config: dict[str, Any]) -> None:
    """Choose the bits of this project: weights 8, state 16, gates and tables 12 fraction bits; sums of products are exact."""
    weight, state = "ap_fixed<8,1>", "ap_fixed<16,1,AP_RND,AP_SAT>"
    weights = {"weight": weight, "recurrent_weight": weight, "bias": weight, "recurrent_bias": weight}
    config["LayerName"]["x"]["Precision"] = {"result": "ap_fixed<8,2>"}
    config["LayerName"]["gru"]["Precision"] = {**weights, "accum": "ap_fixed<32,8,AP_RND,AP_SAT>", "result": state}
    config["LayerName"]["gru"]["table_t"] = "ap_fixed<14,2,AP_RND,AP_SAT>"
    config["LayerName"]["decoder"]["Precision"] = {"weight": weight, "bias": weight, "accum": "ap_fixed<32,8>", "result": "ap_fixed<32,8>"}


def hls4ml_config(network: torch.nn.Module) -> Any:
    """Let hls4ml make its default configuration."""
    import hls4ml

    # The features come first: hls4ml's default for PyTorch puts a transposition in front, and only with it is the decoder right.
    return hls4ml.utils.config_from_pytorch_model(network, (SYMBOLS, STEPS), granularity="name", backend="Vitis")


def hls4ml_compile(network: torch.nn.Module, config: dict[str, Any], folder: Path) -> Any:
    """Generate hls4ml's C++ and compile its C simulation."""
    from hls4ml.converters import convert_from_pytorch_model

    model = convert_from_pytorch_model(network, hls_config=config, output_dir=str(folder), backend="Vitis", io_type="io_parallel")
    model.compile()
    return model


def hls4ml_predict(model: Any, tokens: np.ndarray) -> Any:
    """Predict with hls4ml; tokens of shape (sequences, steps), logits of the last step."""
    features = np.eye(SYMBOLS, dtype=np.float32)[tokens].transpose(0, 2, 1)
    return model.predict(np.ascontiguousarray(features))


def egru_network() -> EventNetwork:
    """Define the network of this project."""
    from sw_model.event_gru import EventNetwork, NetworkConfig

    return EventNetwork(NetworkConfig(tokens=SYMBOLS, embedding_size=8, hidden_sizes=(UNITS,), threshold_mean=0.1)).eval()


def egru_bits(network: EventNetwork) -> None:
    """Choose the bits, which are the defaults: weights 8, events 8, state 16, gates 12."""
    from sw_model.quantizers import QuantizationConfig, quantize

    quantize(network, QuantizationConfig(weight_bits=8))


def egru_compile(network: EventNetwork, folder: Path) -> Any:
    """Generate this project's C++ and compile its C simulation."""
    from hls_gen.hardware_config import HardwareConfig
    from hls_gen.hls_project import write_hls_project
    from sim.csim import CompiledModel
    from sw_model.export import export_network

    write_hls_project(export_network(network), HardwareConfig(lanes=LANES), folder)
    return CompiledModel(folder, cache=folder.parent / "compiled")


def egru_predict(model: Any, tokens: np.ndarray) -> Any:
    """Predict with this project; logits and events of every step."""
    return model.predict(tokens)


#: What is counted, by what it is for.
BLOCKS: dict[str, dict[str, Callable[..., Any]]] = {
    HLS4ML: {
        "network": gru_network,
        "default configuration": hls4ml_config,
        "bits": hls4ml_bits,
        "C simulation": hls4ml_compile,
        "prediction": hls4ml_predict,
    },
    EGRU: {"network": egru_network, "bits": egru_bits, "C simulation": egru_compile, "prediction": egru_predict},
}


def code_lines(function: Callable[..., Any]) -> int:
    """Count the lines of a function's body that hold code: no docstrings, comments or blank lines."""
    text = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(text).body[0]
    assert isinstance(definition, ast.FunctionDef)
    documented = (ast.FunctionDef, ast.ClassDef)
    said = [node.body[0] for node in ast.walk(definition) if isinstance(node, documented) and ast.get_docstring(node) is not None]
    left_out = {line for text_node in said for line in range(text_node.lineno, (text_node.end_lineno or 0) + 1)}
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    used: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in blank:
            used |= set(range(token.start[0], token.end[0] + 1))
    return len({line for line in used - left_out if line >= definition.body[0].lineno})


def wide_bits(config: dict[str, Any]) -> None:
    """Choose so many bits that the tables are what is left of the error; nobody would build this."""
    hls4ml_bits(config)
    config["LayerName"]["gru"]["Precision"] |= {"accum": "ap_fixed<40,8,AP_RND,AP_SAT>", "result": "ap_fixed<32,2,AP_RND,AP_SAT>"}
    config["LayerName"]["gru"]["table_t"] = "ap_fixed<32,2,AP_RND,AP_SAT>"
    config["LayerName"]["gru"]["TableSize"] = 1 << 16
    config["LayerName"]["decoder"]["Precision"] |= {"accum": "ap_fixed<48,8>", "result": "ap_fixed<48,8>"}


PRECISIONS: dict[Precision, Callable[[dict[str, Any]], None]] = {
    "default": lambda config: None,
    "same bits": hls4ml_bits,
    "wide": wide_bits,
}
#: hls4ml's strategies for a matrix product; the last two it knows for other layers.
STRATEGIES = ("Latency", "Resource", "Resource_unrolled", "Compressed", "Distributed_arithmetic")
NOT_FOR_GRU = STRATEGIES[3:]


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Distance(_Result):
    """How far a C simulation is from a network in PyTorch that rounds nothing but its parameters: the last step of every sequence.

    Attributes:
        logits: How many are compared.
        differing: How many differ when PyTorch's are rounded to the grid of the C simulation's.
        differing_coarse: How many differ when both are rounded to `COARSE_FRAC` fraction bits.
        max_error: The largest difference.
        largest: The largest logit of PyTorch's, without its sign.
        decisions: Sequences.
        differing_decisions: How many of them get another class.
    """

    logits: int
    differing: int
    differing_coarse: int
    max_error: float
    largest: float
    decisions: int
    differing_decisions: int


class Simulation(_Result):
    """A C simulation.

    Attributes:
        compile_seconds: CPU time, from the network to a loaded library.
        steps_per_second: Per second of CPU time, called from Python; the fastest of `REPEATS` runs.
        distance: To the PyTorch model without rounding.
    """

    compile_seconds: float
    steps_per_second: float
    distance: Distance


class GruRun(_Result):
    """What hls4ml made of one network with one configuration.

    Attributes:
        sparsity: Share of zero weights that was asked for.
        weights: Non-zero weights of W, R and the decoder.
        precision: Which bits.
        strategy: What was asked for.
        emitted: The strategy that stands in the C++ for the GRU.
        reuse_factor: Clock cycles for which a multiplier is shared.
        products: Multiplications that the C++ of the three matrix products spells out or loops over.
        multipliers: The limit that its pragmas give to the HLS compiler.
        simulation: None where only the C++ was looked at.
    """

    sparsity: float
    weights: int
    precision: Precision
    strategy: str
    emitted: str
    reuse_factor: int
    products: int
    multipliers: int
    simulation: Simulation | None


class EgruRun(_Result):
    """What this project made of one network.

    Attributes:
        sparsity: Share of zero weights that was asked for.
        weights: Non-zero weights of R and the decoder.
        entries: Words of all lanes' weight memories in the C++.
        multipliers: Lanes: one multiplication of a weight each in a clock cycle.
        macs_per_step: Dense, weight-sparse, weight- and event-sparse.
        event_density: Events per neuron and step.
        values: Event flags, event values and logits of every step, compared with the fake-quantised network.
        mismatches: How many differ.
        simulation: Speed, and the distance to a network that does not round.
    """

    sparsity: float
    weights: int
    entries: int
    multipliers: int
    macs_per_step: dict[str, float]
    event_density: float
    values: int
    mismatches: int
    simulation: Simulation


class Results(_Result):
    """The result file.

    Attributes:
        versions: Of the packages, and what the C++ compiler says of itself.
        lines: Lines of code that a user writes, by tool and what they are for.
        steps: Time steps of a C simulation.
        hls4ml: Runs of hls4ml.
        egru: Runs of this project.
    """

    versions: dict[str, str]
    lines: dict[str, dict[str, int]]
    steps: int
    hls4ml: list[GruRun]
    egru: list[EgruRun]


def draw_gru(sparsity: float) -> torch.nn.Module:
    """Draw a GRU whose weights lie on the 8-bit grid, and prune all three matrices together by magnitude."""
    torch.manual_seed(SEED)
    network = gru_network()
    with torch.no_grad():
        for parameter in network.parameters():
            scaled = torch.round(parameter * 3.0 * 2**WEIGHT_FRAC)
            parameter.copy_(scaled.clamp(1 - 2**WEIGHT_FRAC, 2**WEIGHT_FRAC - 1) / 2**WEIGHT_FRAC)
        matrices = gru_matrices(network)
        scores = torch.cat([matrix.abs().flatten() for matrix in matrices])
        # Of equal magnitudes the first ones go.
        dropped = torch.argsort(scores, stable=True)[: round(sparsity * len(scores))]
        kept = torch.ones(len(scores)).index_fill(0, dropped, 0.0)
        for matrix, mask in zip(matrices, torch.split(kept, [matrix.numel() for matrix in matrices]), strict=True):
            matrix.mul_(mask.view(matrix.shape))
    return network


def gru_matrices(network: torch.nn.Module) -> list[torch.Tensor]:
    """Return W, R and the decoder's weights."""
    return [parameter for parameter in network.parameters() if parameter.ndim == 2]


def draw_egru(sparsity: float) -> EventNetwork:
    """Draw an event-based GRU with lively biases, prune it by magnitude and quantise it."""
    torch.manual_seed(SEED)
    network = egru_network()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
            elif not name.endswith("threshold"):
                parameter.mul_(3.0)
    apply_masks(network, magnitude_masks(network, sparsity))
    egru_bits(network)
    return network


def draw_tokens() -> np.ndarray:
    """Draw the input of both, shape (sequences, steps)."""
    return np.random.default_rng(SEED).integers(0, SYMBOLS, (SEQUENCES, STEPS))


class CpuClock:
    """CPU seconds of this process and of those that it waited for, since it was made: a busy machine changes them little."""

    def __init__(self) -> None:
        self._start = self._now()

    def seconds(self) -> float:
        """Return the seconds."""
        return self._now() - self._start

    @staticmethod
    def _now() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + usage.ru_utime + usage.ru_stime


def _timed(predict: Callable[[], Any]) -> tuple[Any, float]:
    """Return what ``predict`` returns, and the CPU seconds of its fastest run."""
    seconds = []
    for _ in range(REPEATS):
        clock = CpuClock()
        answer = predict()
        seconds.append(clock.seconds())
    return answer, min(seconds)


def run_hls4ml(sparsity: float, precision: Precision, strategy: str, folder: Path, tokens: np.ndarray, *, simulated: bool) -> GruRun:
    """Generate with hls4ml, and simulate where asked for."""
    network = draw_gru(sparsity)
    config = hls4ml_config(network)
    PRECISIONS[precision](config)
    reuse = REUSE if strategy.startswith("Resource") else 1
    if strategy != "Latency":
        for layer in ("gru", "decoder") if strategy not in NOT_FOR_GRU else ("gru",):
            config["LayerName"][layer] |= {"Strategy": strategy, "ReuseFactor": reuse}
        config["LayerName"]["gru"] |= {"RecurrentReuseFactor": reuse, "Compression": strategy == "Compressed"}
    shutil.rmtree(folder, ignore_errors=True)
    simulation = None
    if simulated:
        clock = CpuClock()
        model = hls4ml_compile(network, config, folder)
        seconds = clock.seconds()
        simulation = _simulate_gru(network, model, tokens, seconds)
    else:
        from hls4ml.converters import convert_from_pytorch_model

        convert_from_pytorch_model(network, hls_config=config, output_dir=str(folder), backend="Vitis", io_type="io_parallel").write()
    cost = emitted_cost(folder / "firmware")
    weights = sum(int(torch.count_nonzero(matrix)) for matrix in gru_matrices(network))
    return GruRun(sparsity=sparsity, weights=weights, precision=precision, strategy=strategy, simulation=simulation, **cost)


def _simulate_gru(network: torch.nn.Module, model: Any, tokens: np.ndarray, compile_seconds: float) -> Simulation:
    hls4ml_predict(model, tokens[:1])  # the first call reads the weights
    answer, seconds = _timed(lambda: hls4ml_predict(model, tokens))
    found = answer.astype(np.float64)
    with torch.no_grad():
        features = torch.eye(SYMBOLS, dtype=torch.float64)[torch.as_tensor(tokens)]
        expected = copy.deepcopy(network).double()(features)[:, -1].numpy()
    (output,) = model.get_output_variables()
    distance = measure_distance(found, expected, output.type.precision.fractional)
    return Simulation(compile_seconds=compile_seconds, steps_per_second=tokens.size / seconds, distance=distance)


def measure_distance(found: np.ndarray, expected: np.ndarray, frac: int) -> Distance:
    """Compare logits of shape (sequences, classes), those found with ``frac`` fraction bits."""
    return Distance(
        logits=expected.size,
        differing=_differing(found, expected, frac),
        differing_coarse=_differing(found, expected, COARSE_FRAC),
        max_error=float(np.abs(found - expected).max()),
        largest=float(np.abs(expected).max()),
        decisions=len(expected),
        differing_decisions=int((found.argmax(axis=1) != expected.argmax(axis=1)).sum()),
    )


def _differing(found: np.ndarray, expected: np.ndarray, frac: int) -> int:
    return int((np.floor(found * 2.0**frac + 0.5) != np.floor(expected * 2.0**frac + 0.5)).sum())


def emitted_cost(firmware: Path) -> dict[str, Any]:
    """Read strategy, products and multiplier limits from the C++ that hls4ml wrote.

    The sizes of each matrix product are in parameters.h; nnet_dense_latency.h and nnet_dense_resource.h loop over all of them, whatever the
    weights; for the unrolled strategy nnet_code_gen.h holds one statement for each product.
    """
    parameters = (firmware / "parameters.h").read_text()
    unrolled = (firmware / "nnet_utils" / "nnet_code_gen.h").read_text()
    matrices = [_constants(body) for body in re.findall(r"struct \w+ : nnet::dense_config \{(.*?)\n\};", parameters, re.DOTALL)]
    strategies = [matrix["strategy"] for matrix in matrices]
    sizes = [[int(matrix[name]) for name in ("n_in", "n_out", "reuse_factor", "n_zeros")] for matrix in matrices]
    if strategies[0] == "resource_unrolled":
        products = unrolled.count("::product(data[")
        multipliers = sum(map(int, re.findall(r"instances=mul limit=(\d+)", unrolled)))
    elif strategies[0] == "resource":
        products = sum(n_in * n_out for n_in, n_out, *_ in sizes)
        multipliers = sum(-(-n_in * n_out // min(n_in, reuse)) for n_in, n_out, reuse, _ in sizes)
    else:
        products = sum(n_in * n_out for n_in, n_out, *_ in sizes)
        multipliers = sum(-(-n_in * n_out // reuse) - zeros // reuse for n_in, n_out, reuse, zeros in sizes)
    return {"emitted": strategies[0], "reuse_factor": sizes[0][2], "products": products, "multipliers": multipliers}


def _constants(body: str) -> dict[str, str]:
    return dict(re.findall(r"static const unsigned (\w+) = (?:nnet::)?(\w+);", body))


def run_egru(sparsity: float, work: Path, tokens: np.ndarray) -> EgruRun:
    """Generate with this project and simulate."""
    network = draw_egru(sparsity)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    clock = CpuClock()
    compiled = egru_compile(network, work / "hls")
    compile_seconds = clock.seconds()
    found, seconds = _timed(lambda: egru_predict(compiled, tokens))

    model = export_network(network)
    network.double()
    expected = _run_network(network, tokens)
    logit_frac = model.decoder.weight_frac + model.formats.event_bits
    pairs = [
        (found.events[0], _by_sequence(expected.events[0]) * 2.0**model.formats.event_bits),
        (found.fired[0], _by_sequence(expected.fired[0])),
        (found.logits, _by_sequence(expected.logits) * 2.0**logit_frac),
    ]
    last = slice(STEPS - 1, None, STEPS)
    unrounded = _by_sequence(_run_network(without_rounding(network), tokens).logits)[last]
    events = count_events(model, tokens)
    macs = count_macs(model, events).with_decoder
    return EgruRun(
        sparsity=sparsity,
        weights=int(macs.weight_sparse),
        entries=stored_entries(work / "hls" / HLS_FOLDER / TABLES_SOURCE),
        multipliers=sum(LANES),
        macs_per_step={"dense": macs.dense, "weight_sparse": macs.weight_sparse, "event_sparse": macs.event_sparse},
        event_density=events.total_density,
        values=sum(wanted.size for _, wanted in pairs),
        mismatches=sum(int((got != wanted).sum()) for got, wanted in pairs),
        simulation=Simulation(
            compile_seconds=compile_seconds,
            steps_per_second=tokens.size / seconds,
            distance=measure_distance(found.logits[last] / 2.0**logit_frac, unrounded, logit_frac),
        ),
    )


def stored_entries(tables: Path) -> int:
    """Count the words of the lanes' weight memories in the generated C++; every word holds one weight."""
    return sum(map(int, re.findall(r"_entries_words\[(\d+)\]", tables.read_text())))


def without_rounding(network: EventNetwork) -> EventNetwork:
    """Return a network with the parameters of a fake-quantised one, as rounded there, that rounds nothing else."""
    plain = copy.deepcopy(network)
    arithmetic = network.arithmetic
    with torch.no_grad():
        for group, matrices in plain.matrices().items():
            for matrix in matrices:
                matrix.copy_(arithmetic.weight(group, matrix))
        for layer in plain.event_layers():
            layer.bias.copy_(arithmetic.preactivation(layer.bias))
            layer.reset_bias.copy_(arithmetic.preactivation(layer.reset_bias))
            layer.threshold.copy_(arithmetic.threshold(layer.threshold))
        plain.decoder_bias.copy_(arithmetic.decoder_bias(plain.decoder_bias))
    plain.arithmetic = Arithmetic()
    return plain


def _run_network(network: EventNetwork, tokens: np.ndarray) -> NetworkOutput:
    with torch.no_grad():
        output: NetworkOutput = network(torch.as_tensor(tokens.T.copy(), dtype=torch.int64))
    return output


def _by_sequence(values: torch.Tensor) -> np.ndarray:
    """Reorder (steps, sequences, values) as C simulation answers: sequence after sequence."""
    flat: np.ndarray = values.numpy().transpose(1, 0, 2).reshape(-1, values.shape[-1])
    return flat


def gru_runs() -> Iterator[tuple[float, Precision, str, bool]]:
    """Return what hls4ml is asked for: sparsity, precision, strategy, and whether it is simulated."""
    precisions: Mapping[Precision, Any] = PRECISIONS
    for sparsity in (0.0, SPARSITY):
        yield from ((sparsity, precision, "Latency", True) for precision in precisions)
        yield from ((sparsity, "same bits", strategy, strategy not in NOT_FOR_GRU) for strategy in STRATEGIES[1:])


def measure(work: Path) -> Results:
    """Run everything.

    Raises:
        UserError: When hls4ml or the C++ compiler is missing.
        BenchError: When C simulation of this project does not compile or run.
    """
    if importlib.util.find_spec("hls4ml") is None:
        raise UserError("package hls4ml", "is not installed", "pip install 'egru-fpga[test]'")
    compiler, tokens = find_compiler(), draw_tokens()
    gru, egru = [], []
    for sparsity, precision, strategy, simulated in gru_runs():
        progress_console.print(f"hls4ml: {sparsity:.0%} pruned, {precision}, {strategy}", highlight=False)
        with words_to_stderr():
            gru.append(run_hls4ml(sparsity, precision, strategy, work / "hls4ml", tokens, simulated=simulated))
    for sparsity in (0.0, SPARSITY):
        progress_console.print(f"egru-fpga: {sparsity:.0%} pruned", highlight=False)
        egru.append(run_egru(sparsity, work / "egru", tokens))
    packages = {name: importlib.metadata.version(name) for name in ("hls4ml", "torch", "brevitas")}
    return Results(
        versions=packages | {"compiler": compiler.version.splitlines()[0]},
        lines={tool: {purpose: code_lines(block) for purpose, block in blocks.items()} for tool, blocks in BLOCKS.items()},
        steps=tokens.size,
        hls4ml=gru,
        egru=egru,
    )


def run(
    out: Annotated[Path, typer.Option(help="Result file.")] = RESULT_FILE,
    work: Annotated[Path, typer.Option(help="Folder for what is generated.")] = WORK,
    report: Annotated[Path | None, typer.Option(help=f"Only write the page {PAGE} into this folder, from the result file.")] = None,
) -> None:
    """Compare with hls4ml in C simulation; some ten minutes, most of them g++ at hls4ml's unrolled products."""
    from benchmarks.hls4ml_report import page

    with errors_to_exit_codes():
        if report is None:
            write_results(measure(work), out)
        else:
            write_whole(report / PAGE, page(require_results(out, Results)))


if __name__ == "__main__":
    typer.run(run)
