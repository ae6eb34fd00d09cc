#!/bin/sh
# Have Mosquitto on this machine: install it with apt where it is missing, and say so.
set -eu
PATH=$PATH:/usr/sbin:/usr/local/sbin
command -v mosquitto >/dev/null && exit 0
echo "mosquitto is missing: installing it with apt (the tests start their own, on loopback)"
if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
if ! { $sudo apt-get -q update && $sudo apt-get -q install -y --no-install-recommends mosquitto; } >/dev/null; then
    echo "mosquitto could not be installed; try: sudo apt install mosquitto" >&2
    exit 2
fi
