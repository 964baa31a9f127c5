"""The report of Vitis HLS: csynth.xml, read as what it is, a file from somewhere."""

from pathlib import Path
from typing import Any, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from hls_gen.hls_project import REPORT_FILE, VITIS_PROJECT, VITIS_SOLUTION
from hls_gen.vivado import OUTPUT_FOLDER
from sw_model.errors import UserError

#: Far above the reports of large designs, which have some megabytes.
MAX_BYTES = 64 << 20
MAX_DEPTH = 64
#: Where a report is, from the folder of the report, of a solution, of a project, of the scripts, or of a generated core.
PLACES = (
    Path(REPORT_FILE).name,
    REPORT_FILE,
    f"{VITIS_SOLUTION}/{REPORT_FILE}",
    f"{VITIS_PROJECT}/{VITIS_SOLUTION}/{REPORT_FILE}",
    f"{OUTPUT_FOLDER}/{VITIS_PROJECT}/{VITIS_SOLUTION}/{REPORT_FILE}",
)
#: What a part has, by the element that says so; DSP48E is how earlier versions call a DSP.
RESOURCES = {"lut": ("LUT",), "ff": ("FF",), "bram_18k": ("BRAM_18K",), "dsp": ("DSP", "DSP48E"), "uram": ("URAM",)}
LATENCIES = {"min": "Best-caseLatency", "avg": "Average-caseLatency", "max": "Worst-caseLatency"}
INTERVALS = {"min": "Interval-min", "max": "Interval-max"}
#: What Vitis HLS writes where it does not know: a loop without constant bounds has no latency.
UNKNOWN = frozenset({"", "-", "?", "undef", "none"})
REMEDY = "give the csynth.xml of Vitis HLS, or the folder of its solution"


def find_report(path: Path) -> Path:
    """Return the report that ``path`` is, or holds: of a solution, a project, or a generated folder in which `make vitis` was run.

    Raises:
        UserError: When there is none.
    """
    if path.is_file():
        return path
    for place in PLACES:
        if (path / place).is_file():
            return path / place
    if not path.is_dir():
        raise UserError(f"report {path}", "does not exist", REMEDY)
    raise UserError(f"folder {path}", f"holds no {Path(REPORT_FILE).name}", f"run make vitis in it, or {REMEDY}, or that of a sweep")


def read_report(path: Path) -> dict[str, Any]:
    """Read a report of Vitis HLS.

    Args:
        path: The csynth.xml, or a report of a single module; clock periods are in ns, latencies and intervals in clock cycles.

    Returns:
        JSON values; None where Vitis HLS does not know, or an older version does not say.

    Raises:
        UserError: When it is no such report, is cut off, or is XML that no report needs: a document type, extreme size or depth.
    """
    root = _parse(path)
    assignments = root.find("UserAssignments")
    timing, latency = root.find("PerformanceEstimates/SummaryOfTimingAnalysis"), root.find("PerformanceEstimates/SummaryOfOverallLatency")
    used, available = root.find("AreaEstimates/Resources"), root.find("AreaEstimates/AvailableResources")
    if root.tag != "profile" or assignments is None or timing is None or latency is None or used is None or available is None:
        raise UserError(f"report {path}", "is no synthesis report of Vitis HLS", REMEDY)
    estimated = _number(path, timing, "EstimatedClockPeriod")
    return {
        "file": str(path),
        "version": root.findtext("ReportVersion/Version"),
        "top": assignments.findtext("TopModelName"),
        "part": assignments.findtext("Part"),
        "clock": {
            "target_ns": _number(path, assignments, "TargetClockPeriod"),
            "uncertainty_ns": _number(path, assignments, "ClockUncertainty"),
            "estimated_ns": estimated,
            "estimated_mhz": 1000 / estimated if estimated else None,
        },
        "latency": _cycles(path, latency, LATENCIES),
        "interval": _cycles(path, latency, INTERVALS),
        "resources": {
            name: {"used": _first(path, used, tags), "available": _first(path, available, tags)} for name, tags in RESOURCES.items()
        },
        "modules": [_module(path, module) for module in root.iterfind("ModuleInformation/Module")],
    }


def _module(path: Path, module: Element) -> dict[str, Any]:
    latency = module.find("PerformanceEstimates/SummaryOfOverallLatency")
    area = module.find("AreaEstimates/Resources")
    if latency is None or area is None:
        raise UserError(f"module {module.findtext('Name')} in {path}", "has no latency or no resources", REMEDY)
    return {
        "name": module.findtext("Name"),
        "estimated_ns": _number(path, module.find("PerformanceEstimates/SummaryOfTimingAnalysis"), "EstimatedClockPeriod"),
        "latency": _cycles(path, latency, LATENCIES),
        "interval": _integer(path, latency, "PipelineInitiationInterval"),
        **{name: _first(path, area, tags) for name, tags in RESOURCES.items()},
    }


def _cycles(path: Path, element: Element, tags: dict[str, str]) -> dict[str, int | None]:
    return {name: _integer(path, element, tag) for name, tag in tags.items()}


def _first(path: Path, element: Element, tags: tuple[str, ...]) -> int | None:
    """Return the amount that the first of ``tags`` present says."""
    return next((_integer(path, element, tag) for tag in tags if element.find(tag) is not None), None)


def _integer(path: Path, element: Element, tag: str) -> int | None:
    value = _number(path, element, tag)
    return None if value is None else round(value)


def _number(path: Path, element: Element | None, tag: str) -> float | None:
    text = (element.findtext(tag) or "").strip() if element is not None else ""
    if text.lower() in UNKNOWN:
        return None
    # An interval or a latency may be a range; its end is what a design must live with.
    last = text.split("~")[-1].strip()
    try:
        value = float(last)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e18:
        raise UserError(f"{tag} = {text[:40]!r} in {path}", "is no amount", REMEDY)
    return value


def _parse(path: Path) -> Element:
    """Parse XML without a document type, and with it without entities: nothing expands, nothing is fetched.

    Raises:
        UserError: When it cannot be read, or is none.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise UserError(f"report {path} of {size:,} bytes", f"exceeds {MAX_BYTES:,}", REMEDY)
    builder, depth = TreeBuilder(), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise UserError(f"report {path}", f"nests elements more than {MAX_DEPTH} deep", REMEDY)
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_declaration: object) -> NoReturn:
        raise UserError(f"report {path}", "has a document type, which no report of Vitis HLS has", REMEDY)

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        raise UserError(f"report {path}", f"is truncated or no XML ({error})", REMEDY) from None
    return builder.close()
