"""Fuzzes one loader of `benchmarks.loaders` under coverage guidance; started by `benchmarks.robustness`.

A process of its own, because libFuzzer ends it. Only this project's packages are instrumented: of torch and numpy nothing is learnt. An
exception that a loader must not raise is saved once for each place where it was raised, and the search goes on; a loader that takes too
long or too much memory ends the process, and libFuzzer saves the input.
"""

import hashlib
import random
import sys
import traceback
from pathlib import Path

import atheris

from sw_model.errors import UserError

with atheris.instrument_imports(include=["sw_model", "hls_gen", "sim", "egru"], enable_loader_override=False):
    from benchmarks.hostile_files import mutated
    from benchmarks.loaders import FOLDER, LOADERS, Loader

#: Share of inputs that libFuzzer changes itself, guided by what it compared; the others are changed by what they mean.
BYTE_SHARE = 0.3
LONGEST = 1 << 16
TIMEOUT_SECONDS, RSS_MIB = 20, 3072
#: How the name of every finding begins.
FINDING = "finding-"


class _Target:
    """A loader in a folder that is filled once."""

    def __init__(self, loader: Loader, scratch: Path, findings: Path) -> None:
        self.loader, self.findings = loader, findings
        self.folder = scratch / FOLDER
        self.folder.mkdir()
        loader.make(self.folder)
        # Every turn begins with what was made: sealing changes another file.
        self.files = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file() and path.suffix == ".json"}
        self.file = self.folder / loader.file
        self.seed = self.file.read_bytes()

    def run(self, data: bytes) -> None:
        """Have the loader read ``data``; save what it must not raise."""
        for path, content in self.files.items():
            path.write_bytes(content)
        self.file.write_bytes(data)
        self.loader.seal(self.folder)
        try:
            self.loader.read(self.folder)
        except UserError:
            pass
        except Exception as error:  # whatever it is, a loader must not raise it
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{type(error).__name__} {Path(last.filename).name}:{last.lineno}"
            path = self.findings / f"{FINDING}{hashlib.sha256(place.encode()).hexdigest()[:8]}"
            if not path.exists():
                path.write_bytes(data)
                path.with_name(f"{path.name}.txt").write_text(f"{place}\n" + traceback.format_exc())


def main() -> None:
    """Take the name of a loader, the seconds, the folder for findings, and an empty folder to work in."""
    name, seconds = sys.argv[1:3]
    findings, scratch = map(Path, sys.argv[3:])
    loader = next(loader for loader in LOADERS if loader.name == name)
    target = _Target(loader, scratch, findings)
    corpus = scratch / "corpus"
    corpus.mkdir()
    (corpus / "seed").write_bytes(target.seed)

    def change(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < BYTE_SHARE:
            changed: bytes = atheris.Mutate(data, most)
            return changed
        return mutated(data, loader.file, rng)[:most]

    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-timeout={TIMEOUT_SECONDS}", f"-rss_limit_mb={RSS_MIB}", "-seed=1"]
    options += [f"-artifact_prefix={findings}/", "-print_final_stats=1", str(corpus)]
    atheris.Setup([sys.argv[0], *options], target.run, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
