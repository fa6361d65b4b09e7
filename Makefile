# `make demo` and `make test` install what they need; `make help` lists all targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Additional options for pip, such as the index of PyTorch's CPU wheels: make setup PIP_ARGS='--extra-index-url ...'
PIP_ARGS ?=
# Set to any value to repeat tests that passed on the same files.
AGAIN ?=
PACKAGES := -p fastmar -p fastmar_contract -p fastmar_export -p fastmar_oracle -p fastmar_runtime -p fastmar_client -p fastmar_serving -p fastmar_web -p fastmar_monitor -p fastmar_bulk -p fastmar_cli

.DEFAULT_GOAL := help
.PHONY: help setup demo test quick parity check format front manifests chart docs screenshots image bundle sbom up down serve bench clean

help:  ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(INSTALLED)  ## Install everything into .venv

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version). Try: make setup PYTHON=python3.12"; exit 1; }
	@echo "Step 1 of 3: create the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "Step 2 of 3: download and install torch, which is large (several minutes the first time)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_ARGS) torch torchvision
	@echo "Step 3 of 3: install fastai, TorchServe, Java and the other dependencies (a few minutes)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_ARGS) -e '.[dev]'
	@touch $@

demo: setup  ## Train three small models, export and serve them, compare their answers with fastai's
	@$(BIN)/python -m examples.demo

test: setup  ## Run all tests (AGAIN=1: even if nothing has changed since they passed)
	@AGAIN="$(AGAIN)" tests/run.sh $(BIN)/python

quick: setup  ## Run the tests that need no Java, Docker, browser or training
	@$(BIN)/python -m pytest -q --numprocesses auto \
	  -m "not torchserve and not asgi and not ray and not spark and not docker and not clients and not browser and not training" --ignore tests/docker --ignore tests/clients

parity: setup  ## Compare answers with fastai's, learner by learner
	@$(BIN)/python -m pytest tests/export/test_tabular_parity.py -v

check: setup  ## Lint, format, types, import rules
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy $(PACKAGES)
	@$(BIN)/lint-imports --no-cache

format: setup  ## Format and sort
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

front: setup  ## Compile the Java front into its jar; needs JDK 17
	@$(BIN)/python -m fastmar_serving.torchserve.front.build

CHECKOV := .build/checkov/bin/checkov
$(CHECKOV):
	@$(PYTHON) -m venv .build/checkov
	@.build/checkov/bin/pip install --quiet --disable-pip-version-check $(PIP_ARGS) checkov==3.3.30

manifests: setup $(CHECKOV)  ## Check the manifests for Kubernetes and KServe in deploy/, write them rendered to .build/manifests
	@$(BIN)/python -m pytest -q tests/deploy -m "not docker"
	@deploy/render.sh

chart: setup  ## Write the Helm chart to .build/chart/fastmar
	@$(BIN)/python deploy/helm/make_chart.py

# A separate environment, since the tests do not need these packages.
DOCS := .build/docs/.installed
$(DOCS): pyproject.toml constraints.txt
	@$(PYTHON) -m venv .build/docs
	@.build/docs/bin/pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_ARGS) -e '.[docs]'
	@touch $@

docs: $(DOCS)  ## Build the documentation site into .build/site; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 .build/docs/bin/mkdocs build --strict
	@echo "Open .build/site/index.html"

screenshots: setup  ## Make the pictures in docs/images with a real browser
	@$(BIN)/python -m examples.screenshots

image:  ## Build the images fastmar:latest, fastmar:asgi (ENGINE=asgi: only this one) and fastmar-web:latest; list their sizes
	@docker/build.sh
	@[ -n "$(ENGINE)$(VARIANT)" ] || ENGINE=asgi IMAGE= docker/build.sh
	@TARGET=web VARIANT=cpu IMAGE= docker/build.sh

bundle: image  ## Write .build/fastmar-VERSION-offline.tar: wheels and images for a machine without a network
	@PIP_ARGS="$(PIP_ARGS)" PYTHON=$(PYTHON) docker/bundle.sh

sbom: image  ## Write the bills of materials of the images to .build/sbom.cdx.json and .build/sbom-asgi.cdx.json
	@docker/sbom.sh
	@docker/sbom.sh fastmar:asgi .build/sbom-asgi.cdx.json

up:  ## Serve model_store/ in a container on 127.0.0.1:8080, forms on 8501 (ENGINE=asgi; COMPOSE_PROFILES=monitoring adds Prometheus and Grafana)
	@docker/up.sh

down:  ## Stop the containers after a drain
	@docker/compose.sh --profile monitoring down

serve: setup  ## Serve the archives in model_store/
	@$(BIN)/fastmar serve

# The peers need other versions of some packages than fastmar, such as BentoML an older OpenTelemetry.
BENCH := .build/bench/.installed
$(BENCH): benchmarks/requirements.txt constraints.txt
	@$(PYTHON) -m venv .build/bench
	@grep -v '^opentelemetry' constraints.txt > .build/bench/constraints.txt
	@.build/bench/bin/pip install --quiet --disable-pip-version-check -c .build/bench/constraints.txt $(PIP_ARGS) -r benchmarks/requirements.txt
	@touch $@

bench: setup $(BENCH)  ## Measure both engines and their peers, write the tables and the plot; takes about 20 minutes
	@$(BIN)/python -m benchmarks.run --json benchmarks/results/engines.json
	@$(BIN)/python -m benchmarks.run --vision --json benchmarks/results/pictures.json
	@$(BIN)/python -m benchmarks.report

clean:  ## Remove generated files, except .venv
	@rm -rf .build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
