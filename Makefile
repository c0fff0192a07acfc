# Each verb, alone on a clean clone, does all set-up. Variables: see `make help`.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-slow lint results results-quick airflow airflow-stop clean

LAKE ?= work/lakes/demo
WORKDIR ?= work/$(notdir $(patsubst %/,%,$(LAKE)))
USERS ?= 5000
HORIZON_DAYS ?= 30
LAKES ?= $(patsubst %/lake.yaml,%,$(wildcard ../shared/lakes/*/lake.yaml)) work/lakes/demo
SEEDS ?= 3
export PYTHON TORCH_INDEX

in_env := scripts/in_env
# A found.toml of your own says all this itself.
ifeq ($(wildcard found.toml),)
settings = FOUND_LAKE='$(abspath $(LAKE))' FOUND_WORKDIR='$(abspath $(WORKDIR))' FOUND_HORIZON_DAYS='$(HORIZON_DAYS)'
endif

help: ## this list
	@echo 'make VERB [VARIABLE=value]'
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo 'Variables'
	@echo '  LAKE          a folder with lake.yaml; default: a generated lake of USERS=$(USERS) users'
	@echo '  WORKDIR       where everything derived from the lake lies; default: work/<name of the lake>'
	@echo '  HORIZON_DAYS  how far ahead the DAGs of `make airflow` train; default: $(HORIZON_DAYS)'
	@echo '  LAKES, SEEDS  what `make results` measures; default: ../shared/lakes and the generated lake, 3 seeds'
	@echo '  PYTHON        a Python 3.11, where none is on PATH'
	@echo '  TORCH_INDEX   the index of another torch build (default: the one your pip is set up for)'

setup:
	@scripts/setup.sh

demo: setup work-lake ## from a lake to a printed audience: make demo LAKE=path/to/lake
	@$(in_env) found run '$(LAKE)' --workdir '$(WORKDIR)'

.PHONY: work-lake
work-lake: setup
	@[ '$(LAKE)' != work/lakes/demo ] || [ -f work/lakes/demo/lake.yaml ] || \
		$(in_env) found generate --users $(USERS) --seed 1 --out work/lakes/demo

serve: setup ## the page and the API, for the WORKDIR of a finished demo
	@$(settings) $(in_env) found serve

test: lint browser ## ruff, mypy and every test but the slow ones
	@$(in_env) pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not slow'

.PHONY: browser
browser:
	@scripts/chromium.sh

test-slow: setup ## the tests that take minutes each
	@$(in_env) pytest -m slow

lint: setup ## ruff and mypy
	@$(in_env) ruff check .
	@$(in_env) mypy

results: setup work-lake ## docs/results.md: every method on LAKES with SEEDS seeds; goes on where it was stopped
	@scripts/results.sh $(SEEDS) $(LAKES)

results-quick: setup ## a small generated lake, one seed, the methods that learn nothing beside FOUND: work/quick/results.md
	@[ -f work/lakes/quick/lake.yaml ] || $(in_env) found generate --users 300 --seed 1 --out work/lakes/quick
	@$(in_env) found evaluate work/lakes/quick --workdir work/quick --suite quick

airflow: setup work-lake ## Airflow with both DAGs on this machine, until Ctrl-C or `make airflow-stop`
	@$(settings) $(in_env) python scripts/run_airflow.py start

airflow-stop: ## stop it and everything it started
	@[ ! -x .venv/bin/python ] || $(in_env) python scripts/run_airflow.py stop

clean: ## remove everything that was made here: the environment, lakes, models, logs
	@rm -rf .venv work .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
