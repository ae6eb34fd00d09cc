#!/bin/sh
# Whether what runs on a device is to be had as wheels for a 64-bit Raspberry Pi, for both its Pythons. numpy comes from
# apt there, as picamera2's does, and so do picamera2 and lgpio.
#
#   tests/wheels.sh PYTHON     downloads about 40 MB for each into a folder that it removes again
set -eu
project=$(dirname "$0")/..
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
pip_python=$1
"$pip_python" - "$project/pyproject.toml" > "$folder/needed" << 'PYTHON'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file)["project"]
print(*(line for line in project["dependencies"] + project["optional-dependencies"]["device"] if not line.startswith("numpy")), sep="\n")
PYTHON
for python in 3.11 3.13; do
    "$pip_python" -m pip download --quiet --disable-pip-version-check --only-binary=:all: --implementation cp --python-version $python \
        --platform manylinux_2_36_aarch64 --platform manylinux_2_34_aarch64 --platform manylinux_2_28_aarch64 \
        --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 --dest "$folder/$python" --requirement "$folder/needed"
    if ls "$folder/$python"/numpy* > "$folder/found" 2>&1; then
        echo "Python $python: something wants a numpy beside apt's" >&2
        exit 1
    fi
    set -- "$folder/$python"/*.whl
    echo "Python $python on aarch64: $# wheels, $(du -sm "$folder/$python" | cut -f1) MB, numpy from apt"
done
