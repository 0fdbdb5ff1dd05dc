# Each target sets up what it needs: `make demo` in a fresh clone is enough.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
SET_UP := $(VENV)/.set-up
LOCK := $(VENV)/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --custom-compile-command "make lock"
# It asks no platform for policies, sends none its results, and looks for no newer version.
CHECKOV := BC_API_KEY= CKV_SKIP_PACKAGE_UPDATE_CHECK=True .venv-checkov/bin/checkov \
  --framework cloudformation --skip-download --quiet --compact

.PHONY: help setup demo sandbox test clients faults chaos bench check lint scan audit lock clean

help: ## Show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(SET_UP) ## Make .venv, and what the sandbox runs functions with

$(SET_UP): requirements-dev.txt functions/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV); this takes about a minute, once"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(RUN) -m sandbox prepare
	@touch $@

demo: $(SET_UP) ## Deploy the application and examples/bundle.yaml in the sandbox, and watch
	@$(RUN) -m sandbox demo

# Set HOST to an address of this machine that containers reach; README.md says which.
HOST := 127.0.0.1

sandbox: $(SET_UP) ## Serve AWS on 127.0.0.1, with the application deployed, until Ctrl-C
	@$(RUN) -m sandbox serve --host $(HOST)

test: $(SET_UP) ## Run the tests
	@$(RUN) -m pytest --numprocesses 4 --dist worksteal -m "not faults and not clients"

clients: $(SET_UP) .venv-sam/.set-up ## Deploy and invoke with SAM CLI and AWS CLI, and show what came of each command
	@$(RUN) -m pytest -m clients

faults: $(SET_UP) ## Run whole stacks whose function is killed, and whose calls fail
	@$(RUN) -m pytest -m faults

# Set SEQUENCES and SEED for another search, REPLAY to carry out one sequence that was printed.
SEQUENCES := 2000
SEED := 1
REPLAY :=

chaos: $(SET_UP) ## Search for sequences of stacks, faults and kills that break a promise
	@PYTHONPATH=functions $(RUN) -m tests.chaos --sequences $(SEQUENCES) --seed $(SEED) $(if $(REPLAY),--replay '$(REPLAY)')

bench: $(SET_UP) .venv-bench/.set-up ## Measure speed and cost beside what one would use instead
	@PYTHONPATH=functions .venv-bench/bin/python -m benchmarks

check: $(SET_UP) ## Lint, check types, lint and scan the templates, audit, and run all tests, those of faults too
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory scan
	@$(MAKE) --no-print-directory audit
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory clients
	@$(MAKE) --no-print-directory faults

lint: $(SET_UP) ## Lint, check types, and lint the templates
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/cfn-lint template.yaml examples/*.yaml examples/*/*.yaml

# checkov ends with 0 where it can't read a template, and tells of it in what it prints only.
scan: .venv-checkov/.set-up ## Look for insecure settings in the templates
	@found=$$($(CHECKOV) --file template.yaml examples/*.yaml examples/*/*.yaml); status=$$?; echo "$$found"; \
	  case "$$found" in *"Parsing errors"*) exit 1;; esac; exit $$status

# Tools whose pins would meddle with the project's have an environment of their own each.
.venv-%/.set-up: requirements-%.txt $(SET_UP)
	@echo "Setting up .venv-$*, once"
	@$(RUN) -m venv --clear --without-pip .venv-$*
	@$(VENV)/bin/uv pip sync --quiet --python .venv-$* --require-hashes requirements-$*.txt
	@touch $@

audit: $(SET_UP) ## Look for known vulnerabilities in the locked dependencies
	@$(RUN) -m tools.audit -r functions/requirements.txt -r requirements-dev.txt

lock: $(SET_UP) ## Pin anew what pyproject.toml asks for
	$(LOCK) --extra function --output-file functions/requirements.txt
	$(LOCK) --extra function --group dev --output-file requirements-dev.txt
	$(LOCK) --group checkov --output-file requirements-checkov.txt
	$(LOCK) --group sam --output-file requirements-sam.txt
	$(LOCK) --extra function --group dev --group bench --output-file requirements-bench.txt

clean: ## Remove what the other targets made
	rm -rf $(VENV) .venv-bench .venv-checkov .venv-sam .aws-sam build
