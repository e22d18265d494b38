# make app    start the app on http://127.0.0.1:7860
# make test   every test; make lint   style and types; make shots   the README's
# screenshots; make docs   its reference tables
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
# uv installs the whole stack in half a minute where pip needs several; bytecode is compiled at
# once, so that the first start is as fast as the second.
INSTALL := $(UV) pip install --quiet --compile-bytecode --python $(PY)

.PHONY: setup dev app test lint format shots docs bench clean

setup: $(VENV)/.setup
dev: $(VENV)/.dev

$(VENV)/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet uv

$(VENV)/.setup: requirements.txt | $(VENV)/bin/uv
	$(INSTALL) -r requirements.txt
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.setup
	$(INSTALL) --group dev
	@touch $@

app: setup
	$(PY) app.py

test: dev
	$(PY) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: dev
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	@rm -f ui/*.pyi  # gradio writes them at import; the type checker must read the sources
	$(PY) -m basedpyright

format: dev
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

shots: dev
	$(PY) docs/shots.py
	$(PY) docs/publish_shots.py
	$(PY) docs/demo_shots.py

bench: dev
	$(PY) benchmarks/startup.py
	$(PY) benchmarks/accuracy.py digits

docs: dev
	$(PY) docs/reference.py

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
