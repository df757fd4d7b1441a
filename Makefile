.PHONY: install demo test lint docs clean

VENV := .venv
BIN := $(VENV)/bin
ROOMS := search architectures datasets sources studies

# uv installs in half the time; pip alone does the same where uv cannot be had.
# PIP_FIND_LINKS is pip's own setting for wheels on disk; uv reads another name.
install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt Makefile
	python3 -m venv $(VENV)
	@if $(BIN)/pip install --quiet --disable-pip-version-check uv; then \
		UV_FIND_LINKS="$$PIP_FIND_LINKS" $(BIN)/uv pip install --python $(BIN)/python --constraint constraints.txt --editable . --group dev; \
	else \
		$(BIN)/pip install --upgrade --quiet "pip>=25.1" && $(BIN)/pip install --constraint constraints.txt --editable . --group dev; \
	fi
	mkdir -p $(VENV)/view/optrack
	for room in $(ROOMS); do ln -sfn ../../../$$room $(VENV)/view/optrack/$$room; done
	touch $@

# The whole of it on images that need no download: a search, its best configurations, and a page of figures.
demo: install
	mkdir -p demo
	cd demo && ../$(BIN)/optrack run digits && ../$(BIN)/optrack importance digits >/dev/null
	@echo "Trials: cd demo && ../$(BIN)/optrack ui"

# As many processes as cores, so one torch thread in each.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

# The guide: what is read out of the code is written anew, then every link and anchor is checked.
docs: install
	$(BIN)/python docs/write_reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The guide: site/index.html"

clean:
	rm -rf $(VENV) demo build site *.egg-info
