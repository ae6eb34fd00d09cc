#!/bin/sh
# Have Mosquitto and FFmpeg on this machine: install with apt what is missing, and say so.
set -eu
PATH=$PATH:/usr/sbin:/usr/local/sbin
missing=
command -v mosquitto >/dev/null || missing="$missing mosquitto"
command -v ffprobe >/dev/null || missing="$missing ffmpeg"
[ -n "$missing" ] || exit 0
echo "missing, and installed with apt now:$missing (the tests start their own broker, on loopback)"
if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
# shellcheck disable=SC2086  # a list of packages
if ! { $sudo apt-get -q update && $sudo apt-get -q install -y --no-install-recommends $missing; } >/dev/null; then
    echo "they could not be installed; try: sudo apt install$missing" >&2
    exit 2
fi
