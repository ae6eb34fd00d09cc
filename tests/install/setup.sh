#!/bin/bash
# Two clean machines without a machine: Debian 12 and 13 in folders, for the installer to be tried on.
#
#   tests/install/setup.sh PREFIX      as root, about 2 minutes, once; then: INSTALL=PREFIX python -m pytest tests/install
#   tests/install/emulated.sh PREFIX tests/install/setup.sh PREFIX arm64      Debian 12 for the Pi's processor, in 5 minutes
#
# Rule 1: nothing outside PREFIX changes, but for debootstrap and systemd-nspawn, which apt installs where they are missing.
# Rule 2: packages come from the mirror that this machine already uses.
set -euo pipefail
trap 'echo "tests/install/setup.sh: line $LINENO failed: $BASH_COMMAND" >&2' ERR

prefix=$(realpath -m "${1:?usage: tests/install/setup.sh PREFIX [arm64]}")
foreign=${2:-}
stamp="$(sha256sum < "$0")$foreign"
[ "$(cat "$prefix/stamp" 2> /dev/null)" = "$stamp" ] && { echo "$prefix is up to date"; exit 0; }
[ "$(id -u)" = 0 ] || { echo "tests/install/setup.sh makes file systems of root's; try: sudo make test-install" >&2; exit 2; }
missing=
for program in debootstrap:debootstrap systemd-nspawn:systemd-container; do
    command -v "${program%:*}" > /dev/null || missing="$missing ${program#*:}"
done
# shellcheck disable=SC2086 # one package a word
[ -z "$missing" ] || { echo "missing:$missing; installing with apt" && apt-get -qq update && apt-get -qq install -y --no-install-recommends $missing > /dev/null; }
# shellcheck disable=SC2016 # apt's words, not the shell's
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | awk 'NR == 1')
[ -n "$mirror" ] || { echo "apt has no Debian mirror; try: apt-get update" >&2; exit 1; }

rm -f "$prefix/stamp"
mkdir -p "$prefix"
trees=${foreign:+bookworm-$foreign}
for name in ${trees:-bookworm trixie}; do
    tree=$prefix/$name
    rm -rf "$tree" "$prefix/try-$name"
    debootstrap ${foreign:+--arch="$foreign"} --variant=minbase --include=systemd-sysv,udev,dbus,ca-certificates,mosquitto,mosquitto-clients,procps \
        "${name%%-*}" "$tree" "$mirror" > "$tree.log"
    echo "127.0.0.1 localhost" > "$tree/etc/hosts"
    printf '#!/bin/sh\nexit 101\n' > "$tree/usr/sbin/policy-rc.d" # apt starts nothing there
    chmod +x "$tree/usr/sbin/policy-rc.d"
    # The tree trusts whom this machine trusts.
    [ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/"
    echo "[${SECONDS} s] $tree, $(du -sh "$tree" | cut -f1)"
done
echo "$stamp" > "$prefix/stamp"
