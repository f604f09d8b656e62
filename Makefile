# The commands of the project. Each makes $(VENV) first if it is missing or out of date.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Every core runs one test at a time, and the tests of a file stay together: they share fixtures.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
export JUPYTER_PLATFORM_DIRS := 1
# A report of a minute or two.
SMALL := --data synthetic --preset smoke --budget 320 --side-budget 96

.PHONY: report celeba test quick-test check-long test-pythons torture lint bench lab app lock audit licences clean

report: $(VENV)/ready  ## the seven models, the figures and the PDF; options in ARGS
	$(BIN)/python -m vaelib report $(ARGS)

celeba: $(VENV)/ready  ## find a copy of CelebA, or download one with ARGS=--agree
	$(BIN)/python -m vaelib celeba $(ARGS)

test: $(VENV)/ready  ## every test but those of check-long, the notebooks among them
	$(PYTEST) -m "not long"

quick-test: $(VENV)/ready  ## what is tested within minutes: no notebooks, no browser, no cluster
	$(PYTEST) -m "not (notebook or browser or cluster or slow or long)"

check-long: $(VENV)/ready  ## what takes many minutes: models that are trained to be measured
	$(PYTEST) -m long

test-pythons:  ## the quick tests and a smoke report on every newer Python of this machine
	@for version in 3.12 3.13 3.14; do \
	  for python in python$$version $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$version.*/bin/python none; do \
	    "$$python" -c "" 2>/dev/null && break; \
	  done; \
	  [ "$$python" = none ] && echo "Python $$version: none here" && continue; \
	  $(MAKE) PYTHON="$$python" VENV=.venv-$$version quick-test && \
	  VAELIB_RUNS=build/python$$version/runs $(MAKE) VENV=.venv-$$version report ARGS="$(SMALL) --out build/python$$version" && \
	  echo "Python $$version: passed" || exit 1; \
	done

SEED ?= 0
torture: $(VENV)/ready  ## a campaign against the program: kills, full disks, damaged files; half an hour
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.torture $(SEED)

lint: $(VENV)/ready  ## style, types and the import order
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/ready  ## what is fast, against whom; into benchmarks/results
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.prepare
	$(BIN)/python -m benchmarks.faces
	$(BIN)/python -m benchmarks.explore

lab: $(VENV)/ready  ## JupyterLab on the notebooks; without a home of one's own, in a temporary one
	[ -w "$$HOME" ] || HOME=$$(mktemp -d) && export HOME && $(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/01_data.ipynb

app: $(VENV)/ready  ## the explorer as a page, on this machine alone; options in ARGS
	$(BIN)/python -m vaelib app $(ARGS)

lock: $(VENV)/ready  ## requirements.txt again, for every platform, from pyproject.toml
	$(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --extra dev --extra celeba --extra cluster \
	  --no-header --output-file requirements.txt pyproject.toml

audit: $(VENV)/ready  ## whether anything in the lock has a known hole; asks pypi.org
	$(BIN)/uv tool run pip-audit --strict --disable-pip --requirement requirements.txt

licences: $(VENV)/ready  ## the table of docs/licences.md again
	sed -i '/^| /,$$d' docs/licences.md
	$(BIN)/uv tool run pip-licenses --python $(BIN)/python --format markdown --order name \
	  | tr -s ' -' >> docs/licences.md

clean:  ## remove what can be made again, but neither data nor trained models
	rm -rf .venv .venv-* build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# With TORCH=cpu, PyTorch's own builds for processors: without gigabytes that only NVIDIA's GPUs use.
TORCH ?= default
INSTALL_default = $(BIN)/python -m pip install --quiet --requirement requirements.txt
# Their checksums are not those of the lock.
INSTALL_cpu = sed -E '/^(cuda-|nvidia-|triton==)/d; /^ +--hash=/d; s/ \\$$//' requirements.txt \
	  > $(VENV)/requirements.txt && \
	$(BIN)/python -m pip install --quiet --requirement $(VENV)/requirements.txt \
	  --extra-index-url https://download.pytorch.org/whl/cpu && \
	$(BIN)/python -c "import torch; assert torch.version.cuda is None, torch.__version__"
INSTALL = $(or $(INSTALL_$(TORCH)),$(error TORCH is $(TORCH); it must be cpu, or left out))

# An environment that was moved or copied runs what it was made for: it is made again.
ifneq "$(shell cat $(VENV)/ready 2>/dev/null)" "$(CURDIR)"
.PHONY: $(VENV)/ready
endif
$(VENV)/ready: requirements.txt pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  { echo "error: Python 3.11 or newer is needed; name one with make PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(INSTALL)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	echo "$(CURDIR)" > $@
