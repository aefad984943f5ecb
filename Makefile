# make demo | test | test-long | test-servers | test-system | check | format | bench | bench-all
# make protos | dashboards | published | vendor | lock | clean            (make setup makes the whole environment)
PY := .venv/bin/python
BIN := .venv/bin
LOCK := --universal --generate-hashes --no-header --no-annotate --quiet
export PYTHONDONTWRITEBYTECODE =
export RAY_USAGE_STATS_ENABLED = 0

.PHONY: setup demo test test-unit test-long test-servers test-system check format protos dashboards published vendor bench bench-all lock clean

setup: .venv/.ready

# What a run needs.  Tests and checks need more, which .venv/.ready adds.
.venv/.runs: requirements.lock pyproject.toml
	test -x $(PY) || python3 -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(PY) -m compileall -q protos controllers global_manager emulator
	touch $@

.venv/.ready: .venv/.runs requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

demo: .venv/.runs
	$(BIN)/qsagin run paper --out runs/demo-$$(date +%Y%m%d-%H%M%S) --pace max --page

test: test-unit
	$(BIN)/pytest tests/cluster -m "not system"

test-unit: .venv/.ready
	$(BIN)/pytest -n 2 tests/unit tests/simulated tests/wire -m "not system"

test-long: .venv/.ready
	$(BIN)/pytest -n 2 tests/unit tests/simulated tests/wire -m system
	$(BIN)/pytest tests/cluster -m system

test-servers: .venv/.ready
	$(BIN)/pytest tests/system/test_prometheus_files.py tests/system/test_kubernetes.py \
		tests/system/test_smi_module.py tests/system/test_otlp.py tests/system/test_restconf_judges.py \
		tests/system/test_snmp.py tests/system/test_snmp_notices.py \
		tests/system/test_watched_run.py tests/system/test_page.py

test-system: .venv/.ready
	$(BIN)/pytest tests/system

check: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks
	$(BIN)/lint-imports
	$(PY) tools/generate_protos.py --check
	$(PY) tools/dashboards.py --check
	$(PY) tools/published.py --check

format: .venv/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

protos: .venv/.ready
	$(PY) tools/generate_protos.py

dashboards: .venv/.ready
	$(PY) tools/dashboards.py

published: .venv/.ready
	$(PY) tools/published.py

vendor: .venv/.ready
	$(PY) tools/vendor.py

bench: .venv/.ready
	$(PY) benchmarks/run.py

bench-all: .venv/.ready
	$(PY) benchmarks/run.py --all

lock:
	$(BIN)/uv pip compile pyproject.toml --extra dev $(LOCK) --output-file requirements-dev.lock
	$(BIN)/uv pip compile pyproject.toml --extra build --constraint requirements-dev.lock $(LOCK) --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra deploy --constraint requirements-dev.lock $(LOCK) --output-file deploy/requirements.lock
	cd tests/system/pins && for name in *.in; do \
		$(CURDIR)/$(BIN)/uv pip compile $$name --no-deps $(LOCK) --output-file $${name%.in}.txt || exit 1; done

clean:
	rm -rf .venv build *.egg-info
