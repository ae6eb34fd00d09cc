#!/bin/bash
# Writes deploy/lock.txt, every library that the package carries, and deploy/lock-build.txt, what builds it: each pinned
# by version and by the hashes of its wheels.
#
#   deploy/lock.sh PYTHON      now and then, and when pyproject.toml changes; downloads about 170 MB
#
# Rule 1: one version of a library for every machine: the newest that the oldest Python can have.
set -eEuo pipefail
export LC_ALL=C
trap 'echo "lock.sh: line $LINENO failed: $BASH_COMMAND" >&2' ERR

deploy=$(dirname "$(realpath "$0")")
python=$1
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
# shellcheck source=deploy/wheels.sh
. "$deploy/wheels.sh"

# name==version and every hash of it, of all wheels in a folder.
pins() { # FOLDER
    "$python" - "$1" << 'PYTHON'
import hashlib, pathlib, sys
found = {}
for wheel in sorted(pathlib.Path(sys.argv[1]).glob("*.whl")):
    name, version = wheel.name.split("-")[:2]
    found.setdefault(f"{name.lower().replace('_', '-')}=={version}", set()).add(hashlib.sha256(wheel.read_bytes()).hexdigest())
for pin, hashes in sorted(found.items()):
    print(pin, *(f"    --hash=sha256:{one}" for one in sorted(hashes)), sep=" \\\n")
PYTHON
}

needed "$deploy/../pyproject.toml" > "$folder/needed"
fetch aarch64 "${pythons%% *}" "$folder/wheels" --requirement "$folder/needed"
pins "$folder/wheels" | sed -n 's/^\(.*==[^ ]*\).*/\1/p' > "$folder/versions"
for machine in aarch64 x86_64; do
    for version in $pythons; do
        fetch $machine "$version" "$folder/wheels" --requirement "$folder/needed" --constraint "$folder/versions"
    done
done
pins "$folder/wheels" > "$folder/lock.txt"
grep -o '^.*==[^ ]*' "$folder/lock.txt" | diff "$folder/versions" - # what only one of them needs would be missing elsewhere
fetch any "${pythons%% *}" "$folder/build" hatchling
{ echo "# Written by deploy/lock.sh: what the package carries, for both Debians and both machines." && cat "$folder/lock.txt"; } > "$deploy/lock.txt"
{ echo "# Written by deploy/lock.sh: what builds Doorstep's own wheel." && pins "$folder/build"; } > "$deploy/lock-build.txt"
