#!/bin/sh
# Have the programs that the tests hold Doorstep against on this machine: install with apt what is missing, and say so.
set -eu
PATH=$PATH:/usr/sbin:/usr/local/sbin
missing=
for program in mosquitto:mosquitto mosquitto_sub:mosquitto-clients age:age ffprobe:ffmpeg \
        openssl:openssl strace:strace tshark:tshark dumpcap:wireshark-common curl:curl ss:iproute2 mandoc:mandoc; do
    command -v "${program%:*}" >/dev/null || missing="$missing ${program#*:}"
done
ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || missing="$missing libfaketime"
[ -n "$missing" ] || exit 0
echo "missing:$missing; installing with apt (the tests start their own Mosquitto, on loopback)"
if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
# shellcheck disable=SC2086  # one package a word
if ! { $sudo apt-get -q update && $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing; } >/dev/null; then
    echo "could not be installed; try: sudo apt install$missing" >&2
    exit 2
fi
