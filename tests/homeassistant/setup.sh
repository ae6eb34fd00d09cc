#!/bin/bash
# A real Home Assistant, headless, in a folder of its own.
#
#   tests/homeassistant/setup.sh PREFIX CAMERA      about 2 minutes, once; CAMERA: where tests/camera/setup.sh put its Python 3.13
#   then: HOMEASSISTANT=PREFIX python -m pytest tests/homeassistant
#
# Rule 1: nothing outside PREFIX changes.
# Rule 2: packages come from the index that this machine already uses; Home Assistant fetches the rest there at its first start.
set -euo pipefail
trap 'echo "tests/homeassistant/setup.sh: line $LINENO failed: $BASH_COMMAND" >&2' ERR

prefix=$(realpath -m "${1:?usage: tests/homeassistant/setup.sh PREFIX CAMERA}")
camera=$(realpath "${2:?usage: tests/homeassistant/setup.sh PREFIX CAMERA}")

stamp=$(sha256sum < "$0")
[ "$(cat "$prefix/stamp" 2>/dev/null)" = "$stamp" ] && { echo "$prefix is up to date"; exit 0; }
rm -rf "$prefix"
mkdir -p "$prefix"
"$camera/root/usr/bin/python3.13" -m venv --without-pip "$prefix/venv"
# A few of its parts are compiled here; numpy its installer would compile otherwise; pip and uv are what it fetches the rest with.
CPATH=$camera/root/usr/include:$camera/root/usr/include/python3.13 "$camera/tools/bin/python" -m pip --python "$prefix/venv/bin/python" \
    -q install homeassistant==2026.2.3 paho-mqtt==2.1.0 numpy pip uv
"$prefix/venv/bin/python" -c 'import homeassistant.const; print("Home Assistant", homeassistant.const.__version__)'
echo "$stamp" > "$prefix/stamp"
echo "ready: $prefix, $(du -sh "$prefix" | cut -f1)"
