# Everything happens in .venv; a fresh machine needs Python 3.11 or newer, venv and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test lint format bench bench-plots bench-parts simulate soak docs demo-picture site faults fuzz build smoke clean

help:
	@echo "make demo    simulated meters, the real gateway and a stand-in for the platform"
	@echo "make test    all tests"
	@echo "make lint    ruff, mypy, import contracts"
	@echo "make bench   the figures of speed and size, one a line; BENCH=--meters=10000 and others"
	@echo "make bench-parts  more benchmarks, of single parts"
	@echo "make bench-plots  pictures of how costs grow; PLOTS=--measure measures anew"
	@echo "make simulate  the connector under virtual time: SEED=… SEEDS=… DAYS=… METERS=…"
	@echo "make soak    accelerated weeks of a site, does anything grow or get lost; SOAK=\"--meters 200 --minutes 30 --seed 1\""
	@echo "make site    the documentation as a site, in build/site/"
	@echo "make demo-picture  the picture of the demo in README.md"
	@echo "make faults  all faults of the line, in every stage, and forged replies; writes docs/reliability.md"
	@echo "make fuzz    inputs that nobody would think of, for hours; FUZZ=\"--target hdlc --runs 1000000\""
	@echo "make docs    write the generated parts of docs/ and what ThingsBoard imports anew"
	@echo "make build   wheel and sdist in dist/"
	@echo "make smoke   the built wheel in a fresh environment"

# A new environment with an extra of the package, for what runs from this folder.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@echo "installing what $(1) needs into .venv, once"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(1)]'
	@touch $@
endef

.venv/.installed: pyproject.toml
	$(call install,dev)

.venv/.demo: pyproject.toml
	$(call install,demo)

# Who only wants to see it work need not wait for the tools of those who change it.
demo: $(or $(wildcard .venv/.installed),.venv/.demo)
	$(BIN)/dlms-connector demo $(DEMO)

# Most tests wait, for a process or a deadline: two for each core keep it busy. Those that measure
# periods have the machine to themselves, after the others.
WORKERS = $(shell $(PYTHON) -c 'import os; print(2 * os.cpu_count())')
test: .venv/.installed
	$(BIN)/pytest -q -n $(WORKERS) --dist worksteal -m "not alone" $(PYTEST)
	$(BIN)/pytest -q -m alone $(PYTEST)

lint: .venv/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/.installed
	@$(BIN)/python -m tests.benchmarks.figures $(BENCH)

# Twenty minutes with PLOTS="--measure --most 10000"; without it, drawn from the figures there.
bench-plots: .venv/.installed
	@$(BIN)/python -m tests.benchmarks.plots $(PLOTS)

bench-parts: .venv/.installed
	@for file in tests/benchmarks/bench_*.py; do \
	  echo "== $$file"; $(BIN)/python -m tests.benchmarks.$$(basename $$file .py) || exit 1; done

# A seed that fails does exactly the same again.
simulate: .venv/.installed
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) \
	  $(if $(DAYS),--days $(DAYS)) $(if $(METERS),--meters $(METERS)) $(SIMULATE)

# Ends by itself, a minute or two behind its time; 1 if a limit was passed.
soak: .venv/.installed
	@$(BIN)/python -m tests.soak $(SOAK)

docs: .venv/.installed
	$(BIN)/dlms-connector schema > gateway-config/dlms.schema.json
	$(BIN)/python -m dlms_connector.config.reference docs
	$(BIN)/python -m dlms_connector.cli.manual docs
	$(BIN)/python -m dlms_connector.hints.reference docs
	$(BIN)/python -m dlms_connector.metrics.dashboard gateway-config docs
	$(BIN)/python -m tests.matrix.table docs
	$(BIN)/python -m tests.faults.table docs
	$(BIN)/python -m tests.rooms.house docs
	$(BIN)/python -m dlms_connector.thingsboard.files gateway-config

demo-picture: .venv/.installed
	$(BIN)/dlms-connector demo --meters 3 --seconds 20 --picture docs/images/demo.svg

# Strict: a broken link, a broken anchor, or a page without a place in the navigation is an error.
site: .venv/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "build/site/index.html"

faults: .venv/.installed
	$(BIN)/python -m tests.faults.table docs --run

fuzz: .venv/.installed
	@$(BIN)/python -m tests.fuzz $(FUZZ)

build: .venv/.installed
	rm -rf dist
	$(BIN)/hatchling build --target sdist
	@# The wheel is built from the sdist: what is missing there is missing for everybody.
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist dist/*.tar.gz
	$(BIN)/python -m twine check --strict dist/*

smoke: build
	.ci/smoke

clean:
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
