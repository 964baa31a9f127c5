"""Every loader that a file from a user reaches, by name, each with a small valid folder to begin from.

What a loader may do with whatever stands in its file: read it, or raise `UserError`; nothing else, in little time and memory.
`tests/robustness` and `benchmarks.robustness` go through this table.
"""

import hashlib
import json
import lzma
import shutil
import wave
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from egru import weight_swap as bitstream_swap
from egru.artifacts import kind_of, read_generated, text_info
from egru.csynth_report import find_report, read_report
from egru.energy import MODELS, load_energy_model
from egru.flow_config import load_flow_config
from egru.host import Accelerator, Patience
from egru.host.serial_transport import SerialTransport
from egru.place_and_route import RESULT_FILE
from egru.pretrained import FIGURES_FILE, PRETRAINED, load_pretrained
from egru.sweep.grid import expand, load_sweep
from egru.sweep.table import SWEEP_FILE, BlockFigures, LayerFigures, ModelFigures, Point, Row, SimulationFigures, SweepResults
from egru.sweep_report.pictures import read_raster
from egru.sweep_report.reading import read_sweep
from egru.sweep_report.report import collect
from hls_gen.backend import Backend
from hls_gen.bitstream_memory import BitstreamFamily, Column, ColumnMap, extract_contents, replace_contents
from hls_gen.board import BOARD_FILE, BOARDS_FOLDER, UartLink, load_board, render_top
from hls_gen.hardware_config import HardwareConfig, plan
from hls_gen.hls_backend import HLS_FOLDER, TOP_SOURCE, check_folder
from hls_gen.hls_project import write_hls_project
from hls_gen.manifest import differences
from hls_gen.project import write_project
from hls_gen.rtl_backend import HARDWARE_FILE, MEMORY_FOLDER, write
from hls_gen.weight_image import generate_for, load_writes
from hls_gen.weight_swap import COLUMNS_FILE, ROUTED_FILE, SWAP_FOLDER, image_files, image_words, read_swap_folder, read_words
from sim import fuzz_case
from sim.link_frames import Frame, FrameDecoder, Sync, encode_frame
from sw_model import checkpoint
from sw_model.csv_file import import_csv
from sw_model.datasets import TextDataset, load_text
from sw_model.event_gru import EventNetwork, FeatureNetworkConfig, NetworkShape
from sw_model.export import export_checkpoint
from sw_model.feature_dataset import DATASET_FILE, FeatureDataset, FeatureSplit, read_dataset, write_dataset
from sw_model.feature_sources import import_commands, import_digits, import_ts
from sw_model.fixed_point import Formats
from sw_model.front_end import FrontEnd, model_front_end
from sw_model.input_encoding import FeatureInput, encode
from sw_model.log_mel import LogMelConfig
from sw_model.macs import MacsSummary
from sw_model.model_manifest import MANIFEST_FILE, TENSORS_FILE
from sw_model.quantized_model import QuantizedModel
from sw_model.quantizers import QuantizationConfig, quantize
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.readout import Readout
from sw_model.train import progress_folder, run_phase
from sw_model.train_config import RECIPES, TrainConfig
from sw_model.wav_file import read_wav
from sw_model.wav_folder import CSV_FILES, list_clips

SPEC = RandomModelSpec(hidden=(3, 2), tokens=4, classes=4)
FORMATS = Formats(event_bits=2, state_bits=8, gate_bits=4, preact_bits=8, preact_frac=4)
#: For what generates hardware at every turn.
SMALL = RandomModelSpec(hidden=(2,), tokens=2, classes=2, formats=FORMATS)
FEATURES = RandomModelSpec(hidden=(3, 2), classes=2, features=2, encoding="delta")
LANES = HardwareConfig(lanes=1)
TEXT = "".join(f"{number} events and {number * number} weights\n" for number in range(40))
BOARD = "icebreaker"
#: As in a folder of results, but nothing that a loader may touch.
FOLDER, OUT = "given", "out"


@dataclass(frozen=True)
class Loader:
    """A file that a user gives, and what reads it.

    Attributes:
        name: For people and result files.
        file: The file, by its path in the folder.
        make: Fills an empty folder with what is valid.
        read: Reads the folder; may raise nothing but `UserError`.
        seal: Makes the folder's hash of the file right again after a change, as no accident would.
    """

    name: str
    file: str
    make: Callable[[Path], None]
    read: Callable[[Path], object]
    seal: Callable[[Path], None] = lambda folder: None


def _model() -> QuantizedModel:
    return random_model(SPEC)


def dataset() -> TextDataset:
    """Return the text of `PHASE`."""
    vocabulary = tuple("abcd")
    tokens = np.arange(400, dtype=np.int64) % len(vocabulary)
    return TextDataset("abcd", "characters", vocabulary, tokens[:360], tokens[360:380], tokens[380:])


PHASE = TrainConfig(
    network=NetworkShape(embedding_size=2, hidden_sizes=(3, 2)),
    quantization=QuantizationConfig(weight_bits=4),
    steps=2,
    streams=2,
    chunk=4,
    validation_streams=2,
    checkpoint_every=1,
)


def _seal(folder: Path) -> None:
    """Put the hash of the tensors in the manifest."""
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    manifest["tensors_sha256"] = hashlib.sha256((folder / TENSORS_FILE).read_bytes()).hexdigest()
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))


def _make_model(folder: Path) -> None:
    _model().save(folder, force=True)


def _make_feature_model(folder: Path) -> None:
    drawn = random_model(FEATURES)
    targets = (np.zeros(drawn.classes), np.ones(drawn.classes))
    metadata = {"data": {"front_end": FrontEnd.of(LogMelConfig(bands=FEATURES.features)).model_dump()}}
    replace(drawn, readout=Readout("regression", 1, *targets), metadata=metadata).save(folder, force=True)


def _read_feature_model(folder: Path) -> None:
    kind_of(folder)
    model = QuantizedModel.load(folder)
    text_info(model)
    if model.feature_input is not None:
        encode(model.feature_input, model.formats.event_bits, np.zeros((3, model.feature_input.features)))
        model_front_end(model)


def _make_feature_checkpoint(folder: Path) -> None:
    network, config = EventNetwork(FeatureNetworkConfig(channels=4, classes=2, hidden_sizes=(3, 2))), QuantizationConfig()
    encoding = FeatureInput("delta", np.zeros(2), np.ones(2), np.ones(2, np.int32), ("x", "y"))
    manifest = checkpoint.Manifest(
        version=2,
        network=network.config,
        quantization=config,
        exponents=quantize(network, config).exponents,
        data=checkpoint.FeatureDataInfo.of("strokes", encoding, Readout("steps", 3), ("no", "yes"), 50.0),
        step=1,
        metrics={},
        training={},
    )
    checkpoint.save(folder, manifest, checkpoint.network_tensors(network, {}), force=True)


def _read_feature_checkpoint(folder: Path) -> None:
    _read_checkpoint(folder)
    if isinstance(checkpoint.load(folder).manifest.data, checkpoint.FeatureDataInfo):
        export_checkpoint(folder)


def _read_model(folder: Path) -> None:
    kind_of(folder)
    model = QuantizedModel.load(folder)
    text_info(model)
    plan(model, LANES)


def _make_checkpoint(folder: Path) -> None:
    run_phase(PHASE, dataset(), folder / OUT, progress=False)
    _unpack(folder / OUT, folder)


def _unpack(inner: Path, folder: Path) -> None:
    for path in inner.iterdir():
        path.rename(folder / path.name)
    inner.rmdir()


def _read_checkpoint(folder: Path) -> None:
    kind_of(folder)
    checkpoint.load(folder).network()


def _make_unfinished(folder: Path) -> None:
    with patch("sw_model.train._remove"):
        run_phase(PHASE, dataset(), folder / OUT, progress=False)
    shutil.rmtree(folder / OUT)
    _unpack(progress_folder(folder / OUT), folder)


def _read_unfinished(folder: Path) -> None:
    place = folder.parent / OUT
    shutil.copytree(folder, progress_folder(place), dirs_exist_ok=True)
    try:
        run_phase(PHASE, dataset(), place, resume=True, progress=False)
    finally:
        for made in (place, progress_folder(place)):
            shutil.rmtree(made, ignore_errors=True)


def make_rtl(folder: Path) -> None:
    """Make what `egru generate --board` writes."""
    write_project(_model(), LANES, folder, board=load_board(BOARD), force=True)


def _make_loadable(folder: Path) -> None:
    write(random_model(SMALL), LANES.model_copy(update={"weights": "loadable"}), folder, force=True)


def _read_rtl(folder: Path) -> None:
    found = read_generated(folder, Backend.RTL)
    hardware = json.loads((folder / HARDWARE_FILE).read_bytes())
    load_writes(found.model, hardware)
    read_words(folder / MEMORY_FOLDER, image_files(hardware))


def make_hls(folder: Path) -> None:
    """Make what `egru generate --backend hls` writes."""
    write_hls_project(_model(), LANES, folder, force=True)


def _make_source(folder: Path) -> None:
    """Keep the one source that is changed: what the others hold is checked every time too."""
    make_hls(folder)
    for path in (folder / HLS_FOLDER).rglob("*.?pp"):
        if path.name != TOP_SOURCE:
            path.unlink()


def make_build(folder: Path) -> None:
    """Make what `egru swap` reads of a build: nothing was routed, its blocks are empty and hold two columns each."""
    _make_loadable(folder / "generated")
    hardware = json.loads((folder / "generated" / HARDWARE_FILE).read_text())
    hardware["config"]["weights"] = "swappable"
    files = image_files(hardware)
    columns = tuple(
        Column(f"{number} {bit // 2}", 2, bit % 2, file.name, bit, 0) for number, file in enumerate(files) for bit in range(file.bits)
    )
    blocks = sorted({column.block for column in columns})
    (folder / SWAP_FOLDER).mkdir()
    (folder / SWAP_FOLDER / ROUTED_FILE).write_text("".join(f".ram_data {name}\n" + f"{0:064x}\n" * 16 + "\n" for name in blocks))
    (folder / SWAP_FOLDER / COLUMNS_FILE).write_text(ColumnMap(BitstreamFamily.ICE40, files, columns).to_json())
    (folder / SWAP_FOLDER / HARDWARE_FILE).write_text(json.dumps(hardware))
    (folder / RESULT_FILE).write_text(json.dumps({"board": BOARD, "seed": 1}))
    shutil.rmtree(folder / "generated")


def _read_build(folder: Path) -> None:
    kept, _ = read_swap_folder(folder), bitstream_swap.built(folder)
    images = image_words(generate_for(random_model(SMALL), kept.hardware).memories)
    extract_contents(replace_contents(kept.routed, kept.columns, images), kept.columns)


def _make_boards(folder: Path) -> None:
    shutil.copytree(BOARDS_FOLDER / BOARD, folder / BOARD)


def _read_board(folder: Path) -> None:
    board = load_board(BOARD, folder)
    if isinstance(board.link, UartLink):
        render_top(board)


def _make_flow(folder: Path) -> None:
    text = (RECIPES / "demo.toml").read_text()
    tables = '[hardware]\nlanes = [2, 2, 1]\n[simulation]\nsteps = 40\nidle = "light"\n'
    tables += '[build]\nboard = "icebreaker"\nclock_mhz = 12.0\nseeds = [1, 2]\n'
    (folder / "flow.toml").write_text(text + tables)


def _read_flow(folder: Path) -> None:
    settings = load_flow_config(folder / "flow.toml", {"dense.steps": 3})
    if settings.hardware is not None:
        plan(_model(), settings.hardware)


def _make_text(folder: Path) -> None:
    (folder / "text.txt").write_text(TEXT)


def _make_xz(folder: Path) -> None:
    (folder / "text.txt.xz").write_bytes(lzma.compress(TEXT.encode()))


def _make_case(folder: Path) -> None:
    fuzz_case.save(fuzz_case.Case(_model(), LANES, ((1, 2), (3,))), None, folder, force=True)


_REPORT = Path(__file__).resolve().parent.parent / "tests" / "egru" / "data" / "csynth.xml"


def _make_report(folder: Path) -> None:
    shutil.copyfile(_REPORT, folder / _REPORT.name)


def _make_pretrained(folder: Path) -> None:
    shutil.copytree(PRETRAINED, folder, dirs_exist_ok=True)


_RASTER, _ENERGY = "raster.npz", "horowitz-45nm.toml"
_WAV, _WAV_RATE = "clip.wav", 16_000


def _make_sweep(folder: Path) -> None:
    (folder / "sweep.toml").write_text('title = "two"\n[grid]\nsparsity = [0, 0.5]\nhidden_sizes = [[8, 8]]\nlanes = [[1, 2, 1], "fit"]\n')


def _make_table(folder: Path) -> None:
    """Make the results of a sweep of one point, with its model and its events."""
    macs = MacsSummary(dense=9, weight_sparse=9, event_sparse=3)
    layer = LayerFigures(name="layer0", neurons=2, weight_density=1, event_density=0.5, macs=macs)
    model = ModelFigures(
        metric="bits per character",
        quality=2.0,
        quality_float=2.0,
        quality_dense=1.9,
        weight_density=1,
        event_density=0.5,
        macs=macs,
        layers=(layer,),
        memory_bits=99,
        hash="0" * 64,
    )
    block = BlockFigures(name="layer0", lanes=1, useful=0.5, waste={"fetch": 0.1, "idle": 0.4})
    simulation = SimulationFigures(
        steps=2,
        events=2,
        values=8,
        mismatches=0,
        cycles_per_step=9,
        predicted_cycles_per_step=9,
        lanes=1,
        occupancy=0.5,
        blocks=(block,),
        macs_per_step=4.5,
        counts_per_step={"mac": 4.5, "weight_read": 4.5},
    )
    point = Point(sparsity=0.0, weight_bits=8, hidden_sizes=(2,), seed=1, board=BOARD)
    row = Row(name="one", point=point, status="done", model=model, simulation=simulation, artifact="model", raster=_RASTER)
    versions = {"egru-fpga": "0"}
    results = SweepResults(title="one", text={"name": "t"}, versions=versions, config={}, started="2026-01-01T00:00:00+00:00", rows=(row,))
    (folder / SWEEP_FILE).write_text(results.model_dump_json())
    random_model(SMALL).save(folder / "model")
    np.savez_compressed(folder / _RASTER, allow_pickle=False, layer0=np.eye(2, dtype=np.bool_))


def _make_energy(folder: Path) -> None:
    shutil.copyfile(MODELS / _ENERGY, folder / _ENERGY)


def _make_wav(folder: Path) -> None:
    with wave.open(str(folder / _WAV), "wb") as writer:
        writer.setparams((2, 3, _WAV_RATE, 0, "NONE", "NONE"))
        writer.writeframes(bytes(range(60)))


def _make_clips(folder: Path) -> None:
    for number, name in enumerate(CSV_FILES.values()):
        (folder / f"{number}.wav").touch()
        (folder / name).write_text(f"file,class\n{number}.wav,word\n")


_FRAMES, _TIME_SERIES, _NPZ = "train.npz", "motion.ts", "features.npz"


def _feature_split() -> FeatureSplit:
    return FeatureSplit(np.eye(6, 2, dtype=np.float32), np.array([0, 3, 4, 6]), labels=np.array([0, 1, 1]), groups=np.array([1, 1, 2]))


def _make_features(folder: Path) -> None:
    split = _feature_split()
    made = FeatureDataset("two", "classification", split, split, split, ("a", "b"), class_names=("up", "down"), frame_rate=50.0)
    write_dataset(made, folder, force=True)


def _seal_features(folder: Path) -> None:
    described = json.loads((folder / DATASET_FILE).read_text())
    described["files"][_FRAMES] = hashlib.sha256((folder / _FRAMES).read_bytes()).hexdigest()
    (folder / DATASET_FILE).write_text(json.dumps(described))


def _make_digits(folder: Path) -> None:
    arrays: dict[str, np.ndarray] = {"scale": np.array(0.5, np.float32)}
    for name in ("train", "test"):
        utterances = np.arange(200)
        arrays |= {f"feat_{name}": np.zeros((200, 13), np.int16), f"offset_{name}": np.arange(201), f"y_{name}": utterances // 20}
    np.savez(folder / _NPZ, allow_pickle=False, **arrays)


def _make_commands(folder: Path) -> None:
    arrays: dict[str, Any] = {"classes": np.array(["go", "stop"])}
    for number, name in enumerate(("train", "val", "test")):
        arrays |= {f"x_{name}": np.zeros((2, 3, 2), np.uint8), f"y_{name}": np.arange(2), f"speaker_{name}": np.full(2, number)}
    np.savez(folder / _NPZ, allow_pickle=False, **arrays)


def _make_csv(folder: Path) -> None:
    rows = "".join(f"{frame // 3},{frame // 3 % 2},{frame // 6},{frame},-{frame}e-1\n" for frame in range(24))
    for name in ("train", "test"):
        (folder / f"{name}.csv").write_text("sequence,label,group,x,y\n" + rows)


def _make_time_series(folder: Path) -> None:
    header = "# two\n@problemName Two\n@timeStamps false\n@univariate false\n@dimensions 2\n@equalLength true\n@seriesLength 3\n"
    (folder / _TIME_SERIES).write_text(header + "@classLabel true up down\n@data\n" + "1,2,3:4,5,6:up\n-1,0.5,1e2:0,0,0:down\n" * 4)


class HostileDevice:
    """A line to a device that answers with what stands in a file: as frames, or as the bytes themselves.

    Each answer begins with two bytes. The first says what comes: 0 the payload of a good reply of the right kind, 1 a frame of whatever
    kind and sequence number, 2 bare bytes. The second is the length.
    """

    name = "a hostile device"

    def __init__(self, data: bytes) -> None:
        """Answer with ``data``, then be silent."""
        self._data, self._place, self._waiting = data, 0, b""
        self._requests = FrameDecoder(Sync.REQUEST, rescan=False)

    def write(self, data: bytes) -> None:
        """Take bytes; each good request has the next answer sent."""
        for request in self._requests.feed(data):
            how, length = (*self._take(2), 0, 0)[:2]
            payload = self._take(length)
            if how % 3 == 0:
                self._waiting += encode_frame(Sync.REPLY, Frame(request.kind, request.sequence, payload))
            elif how % 3 == 1:
                kind, sequence = (*payload, 0, 0)[:2]
                self._waiting += encode_frame(Sync.REPLY, Frame(kind % 16, sequence, payload[2:]))
            else:
                self._waiting += payload

    def read(self) -> bytes:
        """Return what has been sent."""
        data, self._waiting = self._waiting, b""
        return data

    def close(self) -> None:
        """Do nothing."""

    def _take(self, count: int) -> bytes:
        taken = self._data[self._place : self._place + count]
        self._place += len(taken)
        return taken


def make_device(folder: Path) -> None:
    """Make what a device of a tiny model answers to `_read_device`, one answer after the other."""

    def words(*values: int) -> bytes:
        return bytes((0, 4 * len(values))) + b"".join(value.to_bytes(4, "little") for value in values)

    done = bytes((0, 0))
    hello, identity = bytes((0, 4, 32, 1, 0, 0)), words(0x4547_5255, 0x0100) + words(*range(8)) + words(2, 2) + words(4, 4)
    answers = bytes((0, 18)) + b"\x01\x00\x05\x00\x00\x00" * 3
    counters = words(9, 0, 3, 0) + words(*range(18)) * 2
    (folder / "device.bin").write_bytes(hello + identity + done * 2 + answers + counters + words(1, 2, 3, 4))


def _read_device(folder: Path) -> None:
    line = HostileDevice((folder / "device.bin").read_bytes())
    patience = Patience(first_seconds=0.0, slack_seconds=0.0, attempts=2, greeting_attempts=2)
    with Accelerator(SerialTransport(line, 1e12, patience)) as device:
        symbols = [range(device.info.classes)[answer.symbol] for answer in device.stream([1, 2, 3], batch=8)]
        device.counters()
        if device.has_logits:
            device.logits()
    assert len(symbols) == 3


LOADERS = (
    Loader("model manifest", MANIFEST_FILE, _make_model, _read_model),
    Loader("model tensors", TENSORS_FILE, _make_model, _read_model, _seal),
    Loader("feature model manifest", MANIFEST_FILE, _make_feature_model, _read_feature_model),
    Loader("feature model tensors", TENSORS_FILE, _make_feature_model, _read_feature_model, _seal),
    Loader("feature checkpoint manifest", MANIFEST_FILE, _make_feature_checkpoint, _read_feature_checkpoint),
    Loader("checkpoint manifest", MANIFEST_FILE, _make_checkpoint, _read_checkpoint),
    Loader("checkpoint tensors", TENSORS_FILE, _make_checkpoint, _read_checkpoint, _seal),
    Loader("unfinished training manifest", MANIFEST_FILE, _make_unfinished, _read_unfinished),
    Loader("unfinished training tensors", TENSORS_FILE, _make_unfinished, _read_unfinished, _seal),
    Loader("generated manifest", MANIFEST_FILE, make_rtl, differences),
    Loader("hardware description", HARDWARE_FILE, _make_loadable, _read_rtl),
    Loader("hardware description of HLS", HARDWARE_FILE, make_hls, lambda folder: read_generated(folder, Backend.HLS)),
    Loader("memory image", f"{MEMORY_FOLDER}/decoder_bias.mem", _make_loadable, _read_rtl),
    Loader("HLS source", f"{HLS_FOLDER}/{TOP_SOURCE}", _make_source, check_folder),
    Loader("build result", RESULT_FILE, make_build, _read_build),
    Loader("swap columns", f"{SWAP_FOLDER}/{COLUMNS_FILE}", make_build, _read_build),
    Loader("swap routing", f"{SWAP_FOLDER}/{ROUTED_FILE}", make_build, _read_build),
    Loader("swap hardware", f"{SWAP_FOLDER}/{HARDWARE_FILE}", make_build, _read_build),
    Loader("board", f"{BOARD}/{BOARD_FILE}", _make_boards, _read_board),
    Loader("configuration", "flow.toml", _make_flow, _read_flow),
    Loader("text", "text.txt", _make_text, lambda folder: load_text(folder / "text.txt", "words", max_vocabulary=20)),
    Loader("packed text", "text.txt.xz", _make_xz, lambda folder: load_text(folder / "text.txt.xz")),
    Loader("fuzz case", fuzz_case.CASE_FILE, _make_case, fuzz_case.load),
    Loader("fuzz case hardware", fuzz_case.HARDWARE_FILE, _make_case, fuzz_case.load),
    Loader("synthesis report", _REPORT.name, _make_report, lambda folder: read_report(find_report(folder))),
    Loader("pretrained figures", FIGURES_FILE, _make_pretrained, load_pretrained),
    Loader("serial link", "device.bin", make_device, _read_device),
    Loader("sweep", "sweep.toml", _make_sweep, lambda folder: expand(load_sweep(folder / "sweep.toml", {}, {}))),
    Loader("table of a sweep", SWEEP_FILE, _make_table, lambda folder: collect([read_sweep(folder)])),
    Loader("events of a sweep", _RASTER, _make_table, lambda folder: read_raster(folder / _RASTER)),
    Loader("wav file", _WAV, _make_wav, lambda folder: read_wav(folder / _WAV, _WAV_RATE, mix_down=True)),
    Loader("list of clips", CSV_FILES["train"], _make_clips, list_clips),
    Loader("description of features", DATASET_FILE, _make_features, read_dataset),
    Loader("frames of features", _FRAMES, _make_features, read_dataset, _seal_features),
    Loader("stored digits", _NPZ, _make_digits, lambda folder: import_digits(folder / _NPZ)),
    Loader("stored commands", _NPZ, _make_commands, lambda folder: import_commands(folder / _NPZ)),
    Loader("table of frames", "train.csv", _make_csv, import_csv),
    Loader("time series", _TIME_SERIES, _make_time_series, lambda folder: import_ts(folder / _TIME_SERIES, folder / _TIME_SERIES)),
    Loader("energy model", _ENERGY, _make_energy, lambda folder: load_energy_model(str(folder / _ENERGY))),
)
