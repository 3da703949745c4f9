# Everything a person or CI does with the repository. `make run` and `make test` need nothing but Python >= 3.11.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STRICT ?= 0
SAMPLE ?= 1
PORT ?= 8080
SERVICES := chromium fonts-noto-cjk espeak-ng mosquitto

export STRICT

.PHONY: run test check format faults bench docs lock wheel services clean

run: $(VENV)/.run
	@$(BIN)/tongluo demo --port $(PORT) $(if $(filter 0,$(SAMPLE)),--no-sample)

test: $(VENV)/.dev services
	@STRICT=$(STRICT) $(BIN)/python -m tests

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

faults: $(VENV)/.dev
	FAULT_ROUNDS=$${FAULT_ROUNDS:-200} $(BIN)/pytest -q -s -p no:randomly tests/faults

bench: $(VENV)/.dev
	$(BIN)/python -m bench

docs: $(VENV)/.dev
	$(BIN)/python -m gateway.manual

lock: $(VENV)/.dev
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	  --no-annotate pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	  --no-annotate pyproject.toml --group dev -o requirements-dev.lock

wheel: $(VENV)/.dev
	$(BIN)/uv build --quiet --wheel --out-dir dist

# Programs that some tests drive. Missing ones are installed where that is possible (Debian, root); elsewhere their tests
# are skipped and the last line of `make test` says so.
services:
	@missing=""; for pair in chromium:chromium espeak-ng:espeak-ng mosquitto:mosquitto; do \
	  PATH="$$PATH:/usr/sbin" command -v $${pair%%:*} >/dev/null || missing="$$missing $${pair##*:}"; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing$$missing"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends $$missing $(if $(findstring chromium,$(SERVICES)),fonts-noto-cjk) >/dev/null || true; fi

$(VENV)/bin/uv:
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check uv

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/uv
	@echo "installing Tongluo into $(VENV) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/uv
	@echo "installing the development tools into $(VENV) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
