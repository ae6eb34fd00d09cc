# `make` lists the targets. Each does all its own set-up in .venv; nothing outside this folder is changed,
# but for `make test`, which installs with apt what the tests need (Mosquitto, age, FFmpeg, OpenSSL, strace, tshark), and says so.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP     = $(1)/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test check bench bench-detector bench-broker soak test-camera test-rabbit test-ha test-board test-power test-privacy test-install test-oldest test-wheels deb test-deb test-arm man drawings clean need-venv need-mosquitto

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.demo  ## see it work: a drawn porch, a broker, and what the phone would show
	@$(BIN)/doorstep demo

test: need-mosquitto $(VENV)/.test  ## run all tests, against a real Mosquitto
	$(BIN)/python -m pytest

check: $(VENV)/.check  ## ruff, mypy --strict, repeated code, the units and their exposure
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pylint --disable=all --enable=duplicate-code --min-similarity-lines=8 --ignore-imports=y device broker
	tests/units.sh

bench: need-mosquitto $(VENV)/.bench  ## speed, latency and memory, as ratios in one run
	$(BIN)/python -m tests.bench.bench

bench-detector: $(VENV)/.bench $(VENV)-peers/.dvr-scan  ## how good the detector is, beside its peers (15 minutes)
	$(BIN)/python -m tests.bench.detector

bench-broker: need-mosquitto $(VENV)/.test $(VENV)/.bench  ## what one broker carries, from 10 to 5,000 connections (8 minutes)
	$(BIN)/python -m tests.bench.broker

soak: need-mosquitto $(VENV)/.test  ## hours at the door, with faults at random: make soak MINUTES=30 SEED=1 (root)
	$(BIN)/python -m tests.soak.soak --minutes $(or $(MINUTES),30) --seed $(or $(SEED),1)

test-camera: CAMERA ?= $(CURDIR)/.camera
test-camera: need-mosquitto  ## the real picamera2 and libcamera, without a camera (Debian 12; 1 minute to set up)
	tests/camera/setup.sh $(CAMERA)
	LIBCAMERA_LOG_LEVELS=FATAL $(CAMERA)/venv/bin/python -m pytest tests/camera --ignore tests/camera/test_record.py
	LIBCAMERA_LOG_LEVELS=FATAL $(CAMERA)/venv/bin/python -m pytest tests/camera/test_record.py # encoders would blur the memory of the others

test-board: BOARD ?= $(CURDIR)/.board
test-board: need-mosquitto $(VENV)/.test  ## real pins, webcam and systemd on an emulated board (root, Debian 12; 2 minutes to set up)
	tests/board/setup.sh $(BOARD)
	BOARD=$(BOARD) $(BIN)/python -m pytest tests/board

test-rabbit: RABBIT ?= $(CURDIR)/.rabbit
test-rabbit: need-mosquitto $(VENV)/.test  ## the contract against RabbitMQ, and 500 doors against three of it (Debian; 5 minutes)
	tests/rabbit/setup.sh $(RABBIT)
	RABBIT=$(RABBIT) $(BIN)/python -m pytest -k "rabbit" tests/test_tell.py tests/test_tell_button.py tests/test_hostile_broker.py tests/rabbit

test-ha: CAMERA ?= $(CURDIR)/.camera
test-ha: HOMEASSISTANT ?= $(CURDIR)/.homeassistant
test-ha: need-mosquitto $(VENV)/.test  ## a real Home Assistant takes the door (Debian 12; 3 minutes to set up)
	tests/camera/setup.sh $(CAMERA)
	tests/homeassistant/setup.sh $(HOMEASSISTANT) $(CAMERA)
	HOMEASSISTANT=$(HOMEASSISTANT) $(BIN)/python -m pytest tests/homeassistant

test-power: $(VENV)/.test  ## the power goes at 200 moments of recording (root; a minute)
	@[ "$$(id -u)" = 0 ] || { echo "make: a disk of its own needs root; try: sudo make test-power" >&2; exit 2; }
	@command -v qemu-storage-daemon >/dev/null || { echo "installing qemu-system-common with apt"; \
		apt-get -q install -y --no-install-recommends qemu-system-common >/dev/null; }
	POWER=1 $(BIN)/python -m pytest tests/power

test-privacy: $(VENV)/.test  ## 200 pairs of visits that differ in face, coat and door: what leaves is the same (2 minutes)
	PAIRS=200 $(BIN)/python -m pytest tests/test_noninterference.py

test-install: INSTALL ?= $(CURDIR)/.install
test-install: need-mosquitto $(VENV)/.test  ## the installer in clean Debian 12 and 13 trees, started with systemd (root)
	tests/install/setup.sh $(INSTALL)
	INSTALL=$(INSTALL) $(BIN)/python -m pytest tests/install/test_install.py tests/install/test_setup_installed.py

test-deb: INSTALL ?= $(CURDIR)/.install
test-deb: deb need-mosquitto $(VENV)/.test $(VENV)/.deb  ## the packages: same bytes, and their life in clean Debian 12 and 13 trees (root; 15 minutes)
	@command -v lintian >/dev/null || { echo "installing lintian with apt"; apt-get -q install -y --no-install-recommends lintian >/dev/null; }
	tests/install/setup.sh $(INSTALL)
	INSTALL=$(INSTALL) $(BIN)/python -m pytest tests/install/test_package.py

test-arm: ARM ?= $(CURDIR)/.arm
test-arm: deb $(VENV)/.test  ## the package for the Pi's processor, in an emulated Debian 12 (root, Debian; 5 minutes to set up)
	tests/install/emulated.sh $(ARM) tests/install/setup.sh $(ARM) arm64
	tests/install/emulated.sh $(ARM) env INSTALL=$(ARM) $(BIN)/python -m pytest tests/install/test_package_arm.py

test-wheels: $(VENV)/.made  ## what a device needs is there as wheels for aarch64 (downloads it)
	tests/wheels.sh $(BIN)/python

deb: $(VENV)-build/.made  ## the Debian packages, for arm64 and amd64, in dist/
	deploy/deb/build.sh $(VENV)-build/bin/python

test-oldest: need-mosquitto $(VENV)-oldest/.test  ## the suite with the oldest libraries allowed (Python 3.11)
	$(VENV)-oldest/bin/python -m pytest -p no:cacheprovider

man: $(VENV)/.test  ## write the manual page, deploy/doorstep.1, from what --help says
	$(BIN)/python deploy/man.py

drawings: $(VENV)/.test  ## draw the wiring and the walk test into deploy/
	$(BIN)/python deploy/draw.py

clean:  ## remove what the targets have made
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-peers $(VENV)-build dist .camera .board .rabbit .homeassistant .install .arm .mypy_cache .ruff_cache .pytest_cache .hypothesis

need-venv:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is missing; try: sudo apt install python3 python3-venv" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11; try: make PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: python3-venv is missing; try: sudo apt install python3-venv" >&2; exit 2; }

need-mosquitto:
	@tests/need-mosquitto.sh

# One environment; each target adds what it needs to it, once, and again when pyproject.toml changes.
$(VENV)/.made: | need-venv
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo $(VENV)/.test $(VENV)/.check $(VENV)/.bench $(VENV)/.deb: $(VENV)/.%: $(VENV)/.made pyproject.toml
	@echo "installing doorstep for make $* into $(VENV)"
	@$(call PIP,$(VENV)) --editable '.[device,demo,$*]'
	@touch $@

# A peer of the detector, in an environment of its own: it wants another OpenCV. Without it the rest is measured.
$(VENV)-peers/.dvr-scan: | need-venv
	@echo "installing DVR-Scan into $(VENV)-peers"
	@$(PYTHON) -m venv $(VENV)-peers
	@$(call PIP,$(VENV)-peers) dvr-scan-headless==1.8.2.1 && touch $@ || echo "DVR-Scan could not be installed: it will be missing"

# What builds the package is pinned by hash, as what it carries.
$(VENV)-build/.made: deploy/lock-build.txt | need-venv
	@$(PYTHON) -m venv --clear $(VENV)-build
	@$(call PIP,$(VENV)-build) --no-deps --require-hashes --requirement deploy/lock-build.txt
	@touch $@

$(VENV)-oldest/.test: tests/oldest.txt pyproject.toml | need-venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "make: the oldest set is for Python 3.11; try: make test-oldest PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv --clear $(VENV)-oldest
	@$(call PIP,$(VENV)-oldest) --constraint tests/oldest.txt --editable '.[device,demo,test]'
	@touch $@
