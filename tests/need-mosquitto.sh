#!/bin/sh
# Have Mosquitto, its clients and a clock to put on: install with apt what is missing, and say so.
set -eu
PATH=$PATH:/usr/sbin:/usr/local/sbin
missing=
command -v mosquitto >/dev/null || missing="mosquitto"
command -v mosquitto_sub >/dev/null || missing="$missing mosquitto-clients"
ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || missing="$missing libfaketime"
command -v openssl >/dev/null || missing="$missing openssl"
command -v curl >/dev/null || missing="$missing curl"
command -v ss >/dev/null || missing="$missing iproute2"
[ -z "$missing" ] && exit 0
echo "installing with apt:$missing (the tests start their own Mosquitto, on loopback)"
if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
# shellcheck disable=SC2086 # a list of names
if ! { $sudo apt-get -q update && $sudo apt-get -q install -y --no-install-recommends $missing; } >/dev/null; then
    echo "could not be installed; try: sudo apt install $missing" >&2
    exit 2
fi
