#!/bin/bash
# A RabbitMQ with its MQTT plugin in a folder of its own: a second, independent broker for the contract tests.
#
#   tests/rabbit/setup.sh PREFIX      half a minute, once; then: RABBIT=PREFIX python -m pytest tests/rabbit ...
#
# Rule 1: nothing outside PREFIX changes: Debian packages are unpacked there, not installed, so no service is started.
# Rule 2: packages come from the mirror that this machine already uses.
# Needs: Debian 12 or later, apt with package lists. No root.
set -euo pipefail
trap 'echo "tests/rabbit/setup.sh: line $LINENO failed: $BASH_COMMAND" >&2' ERR

prefix=$(realpath -m "${1:?usage: tests/rabbit/setup.sh PREFIX}")
stamp=$(sha256sum < "$0")
[ "$(cat "$prefix/stamp" 2>/dev/null)" = "$stamp" ] && { echo "$prefix is up to date"; exit 0; }
rm -rf "$prefix"
mkdir -p "$prefix"/{debs,root}

# 1. RabbitMQ and the parts of Erlang it needs, also where some are installed; the C libraries any Debian has.
: > "$prefix/status"
apt-get -q install -s --no-install-recommends -o Dir::State::status="$prefix/status" rabbitmq-server |
    awk '$1 == "Inst" && $2 ~ /^(erlang-|rabbitmq-server$)/ {print $2}' > "$prefix/packages.txt"
(cd "$prefix/debs" && xargs -a ../packages.txt apt-get -qq -o APT::Sandbox::User="$(id -un)" download)
for deb in "$prefix"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x --no-same-owner -C "$prefix/root" --exclude=./usr/share/doc --exclude=./usr/share/man
done
rm -rf "$prefix/debs"

# 2. Erlang runs where it lies.
erlang=$prefix/root/usr/lib/erlang
sed -i "s|ROOTDIR=/usr/lib/erlang$|ROOTDIR=$erlang|" "$erlang/bin/erl" "$erlang"/erts-*/bin/erl
"$erlang/bin/erl" -noshell -eval 'io:format("Erlang ~s~n", [erlang:system_info(otp_release)]), halt().'
echo "$stamp" > "$prefix/stamp"
echo "ready: $prefix, $(du -sh "$prefix" | cut -f1)"
