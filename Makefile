# Each target creates what it needs: `make demo` works in a fresh clone.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
SET_UP := $(VENV)/.set-up
# The operators' command, as the code is at each call.
COMMAND := $(VENV)/bin/instance-bundle
# uv creates all environments except its own, which pip creates if the PATH has no uv of this version.
UV := .venv-uv/bin/uv
UV_SET_UP := .venv-uv/.set-up
PIP_OPTIONS := --quiet --disable-pip-version-check --no-compile --require-hashes
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements/uv.txt)

# Each unit test worker keeps a core busy. Whole stacks often wait, so more of them run in parallel.
UNIT_WORKERS := logical
SANDBOX_WORKERS := 3
WORKERS := 4
# Processes with injected faults are killed if they take too long, so few run in parallel.
FAULT_WORKERS := 2
# Each judge works against a sandbox of its own, and mostly waits.
JUDGES := 4
PYTEST := $(RUN) -m pytest --dist worksteal --numprocesses
# The output of each target stays together, if make supports that.
SIDE_BY_SIDE := --no-print-directory $(if $(filter output-sync,$(.FEATURES)),--output-sync)

# Container images often set it; then each Python process compiles all its imports.
unexport PYTHONDONTWRITEBYTECODE

TEMPLATES := template.yaml examples/*.yaml examples/*/*.yaml
# checkov must not download policies, send results, or check for a newer version.
CHECKOV := BC_API_KEY= CKV_SKIP_PACKAGE_UPDATE_CHECK=True .venv-checkov/bin/checkov \
  --framework cloudformation --skip-download --quiet --compact

# Versions that were published less than a week ago are not used. Valid pins are kept, unless UPGRADE is
# set.
UPGRADE :=
LOCK = $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 \
  $(if $(UPGRADE),--upgrade) --generate-hashes --no-emit-index-url --exclude-newer "1 week" --custom-compile-command "make lock"
# Lock on top of other lock files: at their versions, and without the packages that they have.
ON_TOP_OF = $(1:%=--constraints %) $$(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/--no-emit-package \1/p' $(1))

.PHONY: help setup demo sandbox quick unit test test-sandbox clients judges faults chaos bench check simulated-faults process-faults \
  nightly lint style types templates scan audit release site browse pictures lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(SET_UP) ## Create .venv, and the sandbox's runtime for functions

$(UV_SET_UP): requirements/uv.txt
	@"$(PYTHON)" -c 'import sys; sys.exit("Python 3.11 or later is needed" if sys.version_info < (3, 11) else 0)'
	@rm -rf .venv-uv
	@if [ "$$(uv --version 2>&1 | cut -d ' ' -f 2)" = "$(UV_VERSION)" ]; then \
	  mkdir -p .venv-uv/bin && ln -s "$$(command -v uv)" $(UV); \
	elif "$(PYTHON)" -m pip --version >/dev/null 2>&1; then \
	  "$(PYTHON)" -m pip install --target .venv-uv $(PIP_OPTIONS) --requirement $<; \
	else \
	  "$(PYTHON)" -m venv .venv-uv && \
	    .venv-uv/bin/python -m pip install $(PIP_OPTIONS) --requirement $<; \
	fi
	@touch $@

$(SET_UP): functions/requirements.txt requirements/dev.txt | $(UV_SET_UP)
	@echo "Setting up $(VENV); this takes less than a minute, once"
	@$(UV) venv --quiet --allow-existing \
	  --python "$$("$(PYTHON)" -c 'import sys; print(sys.executable)')" $(VENV)
	@$(UV) pip sync --quiet --python $(VENV) --require-hashes $(filter %.txt,$^)
	@printf '#!/bin/sh\nPYTHONPATH="%s/functions:%s" exec "%s" -P -m cli "$$@"\n' \
	  "$(CURDIR)" "$(CURDIR)" "$(CURDIR)/$(RUN)" > $(COMMAND)
	@chmod +x $(COMMAND)
	@$(RUN) -m sandbox prepare
	@touch $@

# Tools whose pins conflict with the project's have their own environments.
.venv-%/.set-up: requirements/%.txt | $(SET_UP)
	@echo "Setting up .venv-$*, once"
	@$(UV) venv --quiet --clear --python $(RUN) .venv-$*
	@$(UV) pip sync --quiet --python .venv-$* --require-hashes $(filter %.txt,$^)
	@touch $@

# The benchmarks need the project's packages too.
.venv-bench/.set-up: functions/requirements.txt requirements/dev.txt

METHOD := BundleInstance

demo: $(SET_UP) ## Deploy the application and an example in the sandbox, and watch; with METHOD=StoreImage, another one
	@$(RUN) -m sandbox demo --method $(METHOD)

# Set HOST to an address of this machine that containers reach; README.md says which.
HOST := 127.0.0.1
PORT := 4580

sandbox: $(SET_UP) ## Serve AWS on 127.0.0.1:4580 (HOST, PORT), with the application deployed, until Ctrl-C
	@$(RUN) -m sandbox serve --host $(HOST) --port $(PORT)

quick: $(SET_UP) ## After each edit: lint, check types, and run the unit and property tests
	@$(MAKE) $(SIDE_BY_SIDE) --jobs 2 unit types style templates

unit: $(SET_UP) ## Run the unit and property tests, and a short model check of the core
	@$(PYTEST) $(UNIT_WORKERS) -m "not nightly" --ignore tests/model/test_long.py \
	  tests/unit tests/properties tests/model tests/cli tests/lint

test: $(SET_UP) .venv-cdk/.set-up ## Run the tests of the function: unit tests, properties, a model check, a short chaos search, stacks
	@$(PYTEST) $(WORKERS) -m "not nightly and not faults and not clients" \
	  --ignore tests/model/test_quick.py \
	  tests/unit tests/properties tests/model tests/cli tests/lint tests/chaos tests/stacks

test-sandbox: $(SET_UP) .venv-site/.set-up ## Run the tests of the sandbox, of the benchmarks and of the tools
	@$(PYTEST) $(SANDBOX_WORKERS) -m "not nightly" tests/sandbox tests/benchmarks tests/tools

clients: $(SET_UP) .venv-sam/.set-up ## Deploy and invoke with SAM CLI and AWS CLI, and show the result of each command
	@$(RUN) -m pytest -m clients tests/clients

judges: $(SET_UP) .venv-judges/.set-up .venv-ministack/.set-up ## Have software by others judge the application and the sandbox, and show a table
	@$(PYTEST) $(JUDGES) --dist loadfile -m judges tests/judges

faults: simulated-faults process-faults ## Kill the function at each call, and have each call fail

# They run at low priority, since their clock is simulated: next to other tests, one may take long.
simulated-faults: $(SET_UP)
	@nice -n 19 $(PYTEST) $(UNIT_WORKERS) --timeout 3600 -m "faults and not nightly" tests/chaos

# The tests of a file share a long run of stacks, so one worker runs all of them.
process-faults: $(SET_UP)
	@$(PYTEST) $(FAULT_WORKERS) --dist loadfile -m "faults and not nightly" tests/stacks

# Set SEQUENCES and SEED for another search, REPLAY to run one sequence that was printed. CHAOS takes
# further options: --whole, --all, --shorten.
SEQUENCES := 2000
SEED := 1
REPLAY :=

chaos: $(SET_UP) ## Search for sequences of stacks, faults and kills that break a promise
	@PYTHONPATH=functions $(RUN) -m tests.chaos --sequences $(SEQUENCES) --seed $(SEED) $(CHAOS) $(if $(REPLAY),--replay '$(REPLAY)')

bench: $(SET_UP) .venv-bench/.set-up ## Measure speed and cost, compared with the alternatives
	@PYTHONPATH=functions .venv-bench/bin/python -m benchmarks

check: $(SET_UP) ## All checks that a change has to pass: lint, scan, audit, the site, and all tests but the nightly ones
	@echo "The output of each part follows when the part has ended; the longest takes minutes"
	@$(MAKE) $(SIDE_BY_SIDE) --jobs 4 IN_ORDER=1 simulated-faults clients judges process-faults

# The simulated faults run in parallel to the rest. Of the rest, the clients, the judges and the process
# faults, which often wait, run in parallel, and the others one after the other.
ifdef IN_ORDER
clients judges process-faults: | test-sandbox
test-sandbox: | test
test: | lint scan audit browse
endif

nightly: $(SET_UP) ## Run all of `make check` and all long forms; show a table of the results
	@$(RUN) -m tools.nightly

lint: style types templates ## Lint, check types, and lint the templates

style: $(SET_UP)
	@$(RUN) -m ruff check
	@$(RUN) -m ruff format --check
	@$(RUN) -m tools.exits functions
	@$(RUN) -m tools.words
	@PYTHONPATH=functions:lint:. $(VENV)/bin/lint-imports --no-cache

types: $(SET_UP)
	@$(RUN) -m mypy

# With the rules of this repository: .cfnlintrc appends them.
templates: $(SET_UP)
	@$(VENV)/bin/cfn-lint $(TEMPLATES)

# checkov exits with 0 for a template that it can't read; only its output says so.
scan: .venv-checkov/.set-up ## Scan the templates for insecure settings
	@found=$$($(CHECKOV) --file $(TEMPLATES)); status=$$?; echo "$$found"; \
	  case "$$found" in *"Parsing errors"*) exit 1;; esac; exit $$status

# It is skipped where the advisory service can't be reached, and fails there if REQUIRE_AUDIT is set.
audit: $(SET_UP) ## Check all locked dependencies for known vulnerabilities
	@$(RUN) -m tools.audit functions/requirements.txt $(sort $(wildcard requirements/*.txt))

release: $(SET_UP) ## Write a release to dist/: code, template, bill of materials, licenses, notes, checksums
	@PYTHONPATH=functions $(RUN) -m tools.release

# Without the variable, the theme says that it has a successor. With --quiet, a broken link is no error.
site: .venv-site/.set-up ## Make a site of README.md and docs/ in build/site; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 .venv-site/bin/mkdocs build
	@echo "The site is in build/site; to read it: python3 -m http.server --directory build/site"

browse: site ## Read each page of the site in Chromium, as on a desktop and on a phone
	@.venv-site/bin/python -m tools.browse

pictures: $(SET_UP) .venv-bench/.set-up ## Draw docs/pictures: the architecture, the dashboard, the demo
	@PYTHONPATH=functions .venv-bench/bin/python -m tools.pictures

lock: $(UV_SET_UP) ## Update the lock files after a change of pyproject.toml; with UPGRADE=1, all versions
	$(LOCK) --extra function --output-file functions/requirements.txt
	$(LOCK) --extra function --group dev --output-file requirements/dev.txt \
	  $(call ON_TOP_OF,functions/requirements.txt)
	$(LOCK) --extra function --group dev --group bench --output-file requirements/bench.txt \
	  $(call ON_TOP_OF,functions/requirements.txt requirements/dev.txt)
	$(LOCK) --group checkov --output-file requirements/checkov.txt
	$(LOCK) --group sam --output-file requirements/sam.txt
	$(LOCK) --group cdk --output-file requirements/cdk.txt
	$(LOCK) --group site --output-file requirements/site.txt
	$(LOCK) --group judges --output-file requirements/judges.txt
	$(LOCK) --group ministack --output-file requirements/ministack.txt
	$(LOCK) --group uv --output-file requirements/uv.txt

clean: ## Remove what the other targets made
	rm -rf $(VENV) .venv-* .aws-sam build dist
