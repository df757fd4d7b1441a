.PHONY: install demo test test-slow torture lint docs clean

VENV := .venv
BIN := $(VENV)/bin
ROOMS := search architectures datasets sources studies

# Where this is set, each of the many processes of the tests would compile torch and MLflow anew.
unexport PYTHONDONTWRITEBYTECODE

# For those who change the code: with type checker, test runner and what builds the guide.
install: $(VENV)/dev

# uv installs in half the time; pip alone does the same where uv cannot be had.
# PIP_FIND_LINKS is pip's own setting for wheels on disk; uv reads another name.
define pip_install
@if [ -x $(BIN)/uv ] || $(BIN)/pip install --quiet --disable-pip-version-check uv; then \
	UV_FIND_LINKS="$$PIP_FIND_LINKS" $(BIN)/uv pip install --python $(BIN)/python --constraint constraints.txt $(1); \
else \
	$(BIN)/pip install --upgrade --quiet "pip>=25.1" && $(BIN)/pip install --constraint constraints.txt $(1); \
fi
endef

# The package alone.
$(VENV)/installed: pyproject.toml constraints.txt Makefile
	python3 -m venv $(VENV)
	$(call pip_install,--editable .)
	touch $@

$(VENV)/dev: $(VENV)/installed
	$(call pip_install,--group dev)
	mkdir -p $(VENV)/view/optrack
	for room in $(ROOMS); do ln -sfn ../../../$$room $(VENV)/view/optrack/$$room; done
	touch $@

# The whole of it on images that need no download: a search, its best configurations, and a page of figures.
demo: $(VENV)/installed
	mkdir -p demo
	cd demo && ../$(BIN)/optrack run digits && ../$(BIN)/optrack importance digits >/dev/null
	@echo "Trials: cd demo && ../$(BIN)/optrack ui"

LINT := $(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/pyright
# As many processes as cores, so one torch thread in each.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal --durations=10

# All tests but the slow ones, with lint beside them; what it says comes at the end.
test: $(VENV)/dev
	@($(LINT)) >$(VENV)/lint.log 2>&1 & lint=$$!; \
	$(PYTEST) -m "not slow"; tests=$$?; \
	wait $$lint; lint=$$?; cat $(VENV)/lint.log; \
	[ $$tests -eq 0 ] && [ $$lint -eq 0 ]

test-slow: $(VENV)/dev
	$(PYTEST) -m slow

# A command dies at each of its writes, for all commands, and at random moments: more than an hour, and a record.
torture: $(VENV)/dev
	rm -rf $(VENV)/torture && mkdir $(VENV)/torture
	-OPTRACK_TORTURE=$(abspath $(VENV)/torture) $(PYTEST) tests/faults
	$(BIN)/python -m benchmarks.deaths $(VENV)/torture

lint: $(VENV)/dev
	$(LINT)

# The guide: what is read out of the code is written anew, then every link and anchor is checked.
docs: $(VENV)/dev
	$(BIN)/python docs/write_reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The guide: site/index.html"

clean:
	rm -rf $(VENV) demo build site *.egg-info
