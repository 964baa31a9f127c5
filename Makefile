# Every target does its own set-up: a fresh clone needs only python3 (>= 3.11, with venv), g++, make and perl.
#   make demo | test | lint        make PYTHON=python3.12 test        make demo OUT=/some/folder
PYTHON ?= python3
OUT ?= runs/demo
JOBS ?= 2
# Extra options for pip, e.g. an index of CPU-only torch wheels: make PIP_ARGS="--extra-index-url ..." test
PIP_ARGS ?=

BIN := .venv/bin
STAMP := .venv/egru-fpga.stamp

.DEFAULT_GOAL := help
.PHONY: help setup demo evidence fuzz prove fuzz-loaders mutants coverage bench-datapath bench-boards bench-hls bench-hls4ml bench-training-speed bench-paper bench-streams test lint typecheck unit format wheel clean distclean

help:
	@echo "make demo      a real text through the whole flow, results in $(OUT); PRETRAINED=1 trains nothing and takes the model in examples/"
	@echo "make bench-datapath  the datapath in clock cycles by RTL simulation, and its clock after place and route; MODEL=exported/model adds that one"
	@echo "make bench-boards    trains a model for each of four boards and takes it to a bitstream; about an hour"
	@echo "make bench-hls       RTL and HLS (Bambu on PATH) side by side after place and route, and the C simulation's speed; some twenty minutes"
	@echo "make bench-hls4ml    side by side with hls4ml in C simulation; some ten minutes"
	@echo "make bench-training-speed  an optimiser step of the EGRU beside cuDNN's LSTM; for a GPU, GPUS=2 for two"
	@echo "make bench-paper     language models trained, pruned, quantised and measured; for a GPU; DATA=folder with ptb/ and wikitext2/"
	@echo "make bench-streams   networks of a feature data set trained, pruned, quantised and measured, and a GRU; DATA=folder from egru data"
	@echo "make test      lint, types and all tests"
	@echo "make evidence  everything that stands behind the core, see docs/evidence.md; some hours; it is the next five, and can be stopped"
	@echo "make fuzz      a thousand random models on random hardware against the reference, see docs/fuzzing.md; an hour and a half"
	@echo "make prove     all proofs of the RTL library, see docs/proofs.md; some minutes"
	@echo "make coverage  what the benches of the RTL reach, see docs/coverage.md; half an hour"
	@echo "make mutants   planted faults and how many of them the tests find, see docs/mutants.md; about an hour"
	@echo "make fuzz-loaders    every loader of a user's file under coverage-guided fuzzing; SECONDS=60 for each, see docs/robustness.md"
	@echo "make lint      ruff only"
	@echo "make typecheck mypy only"
	@echo "make unit      pytest only"
	@echo "make format    let ruff mend what it can"
	@echo "make wheel     dist/*.whl"
	@echo "make setup     only the virtual environment .venv"
	@echo "make clean     remove build folders and caches; make distclean also removes .venv"

setup: $(STAMP)

# The stamp is newer than the two files that say what is installed; an environment that stands already is reused.
$(STAMP): pyproject.toml constraints.txt
	@scripts/check_host.sh "$(PYTHON)"
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || "$(PYTHON)" -m venv --clear .venv
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[test]'
	@touch $@

# The tools that are not from pip are looked at every time: they can vanish while the stamp stands.
.PHONY: host
host:
	@scripts/check_host.sh "$(PYTHON)"

demo: host $(STAMP)
	$(BIN)/egru demo --out $(OUT) $(if $(PRETRAINED),--pretrained)

# A killed run goes on where it stopped: finished simulations are kept in runs/datapath.
bench-datapath: host $(STAMP)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks.datapath $(if $(MODEL),--model $(MODEL))
	$(BIN)/python -m benchmarks.datapath_build
	$(BIN)/python -m benchmarks.datapath --report docs

# A recipe, trained, pruned, quantised and exported. Finished phases are kept.
runs/boards/models/%/model: sw_model/recipes/%.toml | host $(STAMP)
	$(BIN)/egru train --config $< --out $(@D)/dense --resume
	$(BIN)/egru prune $(@D)/dense --config $< --out $(@D)/pruned --resume
	$(BIN)/egru train --quantise --from $(@D)/pruned --config $< --out $(@D)/quantised --resume
	$(BIN)/egru export $(@D)/quantised --out $@ --force

bench-boards: $(foreach recipe,tiny demo,runs/boards/models/$(recipe)/model)
	$(BIN)/python -m benchmarks.boards --model icebreaker=runs/boards/models/tiny/model --model tang_nano_20k=runs/boards/models/tiny/model \
		--model colorlight_i9=runs/boards/models/demo/model --model ulx3s_85f=runs/boards/models/demo/model --lanes ulx3s_85f=4,8,2 --lanes tang_nano_20k=2,2,1

bench-hls: $(foreach recipe,tiny demo,runs/boards/models/$(recipe)/model)
	$(BIN)/python -m benchmarks.hls --model runs/boards/models/tiny/model --csim-model runs/boards/models/demo/model

bench-hls4ml: host $(STAMP)
	$(BIN)/python -m benchmarks.hls4ml_comparison
	$(BIN)/python -m benchmarks.hls4ml_comparison --report docs

# What a GPU trains: see docs/training.md.
GPUS ?= 1
TEXTS ?= ptb wikitext2
SPARSITIES ?= 0 0.7 0.8 0.9 0.95
WEIGHT_BITS ?= 8 4

bench-training-speed: host $(STAMP)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[bench,gpu]'
	$(BIN)/python -m benchmarks.training_speed
	$(if $(filter 2,$(GPUS)),$(BIN)/torchrun --nproc-per-node 2 -m benchmarks.training_speed --two-gpus)
	$(BIN)/python -m benchmarks.paper --speed benchmarks/results/speed.json --report docs

# A killed run goes on where it stopped: finished phases are kept in runs/paper, finished measurements in the result file.
bench-paper: host $(STAMP)
	@test -d "$(DATA)" || { echo "DATA=$(DATA) is no folder; give one that holds: $(TEXTS)" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[bench,gpu]'
	set -e; for text in $(TEXTS); do \
		$(BIN)/python -m benchmarks.paper_training --data "$(DATA)/$$text" --dataset $$text --recipe $$text \
			--out runs/paper/checkpoints/$$text --records runs/paper/$$text \
			$(addprefix --sparsity ,$(SPARSITIES)) $(addprefix --weight-bits ,$(WEIGHT_BITS)); \
		$(BIN)/python -m benchmarks.lstm_baseline --config benchmarks/recipes/$${text}_lstm.toml --data "$(DATA)/$$text" \
			--out runs/paper/$$text/$$text-lstm --device cuda --resume; \
		$(BIN)/python -m benchmarks.paper --data "$(DATA)" --runs runs/paper/$$text; \
	done
	$(BIN)/python -m benchmarks.paper --report docs

# A killed run goes on where it stopped: finished phases are kept in runs/streams.
RECIPE ?= spoken_digits
SEEDS ?= 1 2 3
DEVICE ?= cpu
# Of the GRU: size of the recipe's network, its augmentation, and what validation preferred.
GRU ?= --hidden 128 --epochs 30 --learning-rate 6e-3 --dropout 0.1 --label-smoothing 0.05 --time-shift 2 --noise 0.15

bench-streams: host $(STAMP)
	@test -f "$(DATA)/dataset.json" || { echo "DATA=$(DATA) is no folder that egru data wrote" >&2; exit 2; }
	set -e; for seed in $(SEEDS); do \
		$(BIN)/python -m benchmarks.streams_training --data "$(DATA)" --recipe $(RECIPE) --seed $$seed --device $(DEVICE); \
		$(BIN)/python -m benchmarks.gru_baseline --data "$(DATA)" $(GRU) --seed $$seed --device $(DEVICE) --runs runs/streams/runs; \
	done
	$(BIN)/python -m benchmarks.streams --data "$(DATA)" --runs runs/streams/runs --report docs

# The page is written whatever falls short; what does, gives the exit code.
evidence: fuzz prove mutants coverage fuzz-loaders
	$(BIN)/python -m benchmarks.evidence

# A killed run goes on where it stopped: finished portions are kept in the result file.
fuzz: host $(STAMP)
	$(BIN)/python -m benchmarks.fuzzing --jobs $(JOBS)

prove: host $(STAMP)
	$(BIN)/python -m benchmarks.proofs --jobs $(JOBS)

# A killed run goes on where it stopped: finished launchers are kept in build/coverage.
coverage: host $(STAMP)
	$(BIN)/python -m benchmarks.coverage --jobs $(JOBS)

# A killed run goes on where it stopped: verdicts are kept in build/mutants.
mutants: host $(STAMP)
	$(BIN)/python -m benchmarks.mutants --jobs $(JOBS)

SECONDS ?= 60
fuzz-loaders: $(STAMP)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[fuzz]'
	$(BIN)/python -m benchmarks.robustness --seconds $(SECONDS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(STAMP)
	$(BIN)/mypy

# One file's tests stay in one worker: they share a simulation build.
# One BLAS thread a worker, see egru/__init__.py.
unit: host $(STAMP)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

test: lint typecheck unit

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(STAMP)
	$(BIN)/python -m pip wheel --no-deps -w dist .

clean:
	rm -rf build dist sim_build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv
