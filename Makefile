# Everything a person or a machine does with the repository. `make run` and `make test` need Python >= 3.11 and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STRICT ?= 0
SAMPLE ?= 1
PORT ?= 8080

UV_INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-header --no-annotate pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help run test check format faults soak bench docs lock wheel bundle services clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run ## start the demonstration on 127.0.0.1:8080 (PORT=n, SAMPLE=0: without a sample alert)
	@$(BIN)/tongluo demo --port $(PORT) $(if $(filter 0,$(SAMPLE)),--no-sample)

test: $(VENV)/.dev services ## run every test (STRICT=1: a missing program is a failure)
	@STRICT=$(STRICT) $(BIN)/python -m tests

check: $(VENV)/.dev ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

faults: $(VENV)/.dev ## the long form of the fault suite: 200 kills, the broker away for 10 minutes (FAULT_ROUNDS=n, FAULT_SEED=n)
	FAULT_ROUNDS=$${FAULT_ROUNDS:-200} $(BIN)/python -m pytest -q -s --timeout 7200 tests/faults tests/queue/test_rabbit_faults.py

soak: $(VENV)/.dev ## the same for hours (FAULT_ROUNDS=n)
	FAULT_ROUNDS=$${FAULT_ROUNDS:-5000} $(BIN)/python -m pytest -q -s --timeout 86400 tests/faults

bench: $(VENV)/.dev ## POST to first hand-off, and recipients per second
	$(BIN)/python -m bench

docs: $(VENV)/.dev ## write docs/configuration.md and config/tongluo.yaml anew from the settings model
	$(BIN)/python -m gateway.manual

lock: $(VENV)/bin/uv ## resolve the dependencies anew: hashes, no addresses
	$(COMPILE) --upgrade -o requirements.lock
	$(COMPILE) --upgrade --group dev --constraints requirements.lock -o requirements-dev.lock

wheel: $(VENV)/.dev ## build dist/tongluo-*.whl and the source distribution
	$(BIN)/hatchling build --target wheel --target sdist --directory dist

bundle: $(VENV)/.dev ## build dist/tongluo-*-bundle.tar: all of it for a network without internet
	$(BIN)/python -m deploy.bundle

# Programs that some tests drive, as PROGRAM:PACKAGE. Missing ones are installed where that is possible (Debian, root); elsewhere
# their tests are skipped, and the last line of `make test` says so. Debian may start what it installs (RabbitMQ, PostgreSQL,
# Prometheus) on the standard ports, as the machine's policy-rc.d says; the tests leave those alone and start private ones.
PROGRAMS := curl:curl chromium:chromium espeak-ng:espeak-ng mosquitto:mosquitto rabbitmq-server:rabbitmq-server \
	initdb:postgresql strace:strace faketime:faketime prometheus:prometheus promtool:prometheus \
	prometheus-alertmanager:prometheus-alertmanager amtool:prometheus-alertmanager nginx:nginx-light shellcheck:shellcheck

services: ## install the programs that tests drive (as root on Debian)
	@PATH="$$PATH:/usr/sbin:/usr/lib/rabbitmq/bin:$$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')"; missing=""; \
	for each in $(PROGRAMS); do command -v $${each%%:*} >/dev/null || missing="$$missing $${each#*:}"; done; \
	case "$$missing" in *chromium*) missing="$$missing fonts-noto-cjk";; esac; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing$$missing"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends $$missing >/dev/null || true; fi

$(VENV)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Tongluo needs Python >= 3.11; name it with: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python cannot make a virtual environment here; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.9'

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/uv
	@echo "installing Tongluo into $(VENV) ..."
	@$(UV_INSTALL) --require-hashes -r requirements.lock
	@$(UV_INSTALL) --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/uv
	@echo "installing Tongluo and the tools of its development into $(VENV) ..."
	@$(UV_INSTALL) --require-hashes -r requirements-dev.lock
	@$(UV_INSTALL) --no-deps -e .
	@touch $@ $(VENV)/.run

clean: ## remove what was built and installed; ./var stays
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
