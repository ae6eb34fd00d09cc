# How wheels for a device are fetched, whatever machine this is: read by deploy/lock.sh, deploy/deb/build.sh and
# tests/wheels.sh, which set `python`.
# shellcheck shell=bash disable=SC2034,SC2154 # who reads this uses and sets them
pythons="3.11 3.13" # Bookworm's and Trixie's

# Fetch wheels, and nothing that would have to be built; from the package index alone, whatever this machine is set to use.
fetch() { # MACHINE PYTHON_VERSION FOLDER PIP_OPTION...
    local machine=$1 version=$2 folder=$3 platforms=() glibc
    shift 3
    for glibc in 2_36 2_35 2_34 2_28 2_27 2_26 2_24 2_17; do platforms+=(--platform "manylinux_${glibc}_$machine"); done
    env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL PIP_CONFIG_FILE=/dev/null "$python" -m pip download --quiet \
        --disable-pip-version-check --only-binary=:all: --implementation cp --python-version "$version" "${platforms[@]}" \
        --platform "manylinux2014_$machine" --dest "$folder" "$@"
}

# What pyproject.toml wants on a device. numpy comes from apt there, as picamera2's does, and so do picamera2 and lgpio.
needed() { # PYPROJECT
    "$python" - "$1" << 'PYTHON'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file)["project"]
print(*(line for line in project["dependencies"] + project["optional-dependencies"]["device"] if not line.startswith("numpy")), sep="\n")
PYTHON
}
