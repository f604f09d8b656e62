# The commands of the project. Each makes .venv first if it is missing or out of date.

PYTHON ?= python3
BIN := .venv/bin
# Every core runs one test at a time, and the tests of a file stay together: they share fixtures.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
export JUPYTER_PLATFORM_DIRS := 1

.PHONY: report celeba test quick-test check-long lint bench lab app lock clean

report: .venv/ready  ## the seven models, the figures and the PDF; options in ARGS
	$(BIN)/python -m vaelib report $(ARGS)

celeba: .venv/ready  ## find a copy of CelebA, or download one with ARGS=--agree
	$(BIN)/python -m vaelib celeba $(ARGS)

test: .venv/ready  ## every test but those of check-long, the notebooks among them
	$(PYTEST) -m "not long"

quick-test: .venv/ready  ## what is tested within a minute: no notebooks, no browser, no cluster
	$(PYTEST) -m "not (notebook or browser or cluster or slow or long)"

check-long: .venv/ready  ## what takes many minutes: models that are trained to be measured
	$(PYTEST) -m long

lint: .venv/ready  ## style, types and the import order
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/ready  ## what is fast, against whom; into benchmarks/results
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.prepare
	$(BIN)/python -m benchmarks.faces
	$(BIN)/python -m benchmarks.explore

lab: .venv/ready  ## JupyterLab on the notebooks; without a home of one's own, in a temporary one
	[ -w "$$HOME" ] || HOME=$$(mktemp -d) && export HOME && $(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/01_data.ipynb

app: .venv/ready  ## the explorer as a page, on this machine alone; options in ARGS
	$(BIN)/python -m vaelib app $(ARGS)

lock: .venv/ready  ## requirements.txt again, for every platform, from pyproject.toml
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra dev --extra celeba --extra cluster \
	  --no-header --output-file requirements.txt pyproject.toml

clean:  ## remove what can be made again, but neither data nor trained models
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# With TORCH=cpu, PyTorch's own builds for processors: without gigabytes that only NVIDIA's GPUs use.
TORCH ?= default
INSTALL_default = $(BIN)/python -m pip install --quiet --requirement requirements.txt
INSTALL_cpu = grep -vE '^(cuda-|nvidia-|triton==)' requirements.txt > .venv/requirements.txt && \
	$(BIN)/python -m pip install --quiet --requirement .venv/requirements.txt \
	  --extra-index-url https://download.pytorch.org/whl/cpu && \
	$(BIN)/python -c "import torch; assert torch.version.cuda is None, torch.__version__"
INSTALL = $(or $(INSTALL_$(TORCH)),$(error TORCH is $(TORCH); it must be cpu, or left out))

# An environment that was moved or copied runs what it was made for: it is made again.
ifneq "$(shell cat .venv/ready 2>/dev/null)" "$(CURDIR)"
.PHONY: .venv/ready
endif
.venv/ready: requirements.txt pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  { echo "error: Python 3.11 or newer is needed; name one with make PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv --clear .venv
	$(INSTALL)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	echo "$(CURDIR)" > $@
