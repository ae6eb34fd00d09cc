#!/bin/bash
# Whether what runs on a device is to be had as wheels for a 64-bit Raspberry Pi, for both its Pythons, in the newest
# versions that pyproject.toml allows; deploy/lock.txt names those that the package carries.
#
#   tests/wheels.sh PYTHON     downloads about 40 MB for each into a folder that it removes again
set -eu
project=$(dirname "$0")/..
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python=$1
# shellcheck source=deploy/wheels.sh
. "$project/deploy/wheels.sh"
needed "$project/pyproject.toml" > "$folder/needed"
for version in $pythons; do
    fetch aarch64 "$version" "$folder/$version" --requirement "$folder/needed"
    if ls "$folder/$version"/numpy* > "$folder/found" 2>&1; then
        echo "Python $version: something wants a numpy beside apt's" >&2
        exit 1
    fi
    set -- "$folder/$version"/*.whl
    echo "Python $version on aarch64: $# wheels, $(du -sm "$folder/$version" | cut -f1) MB, numpy from apt"
done
