#!/bin/sh
# The units as systemd understands them: every line known, and each service's exposure at most 1.5 of 10. No root, no
# running systemd: a tree of our own stands for the machine.
set -eu
if ! command -v systemd-analyze > /dev/null; then
    echo "units NOT checked: systemd-analyze is missing; try: sudo apt install systemd"
    exit 0
fi
units=$(dirname "$0")/../deploy/systemd
root=$(mktemp -d)
trap 'rm -r "$root"' EXIT
mkdir -p "$root/etc/systemd/system" "$root/usr/lib/systemd" "$root/opt/doorstep/bin"
cp "$units"/*.service "$units"/*.socket "$units"/*.target "$root/etc/systemd/system"
cp -r /usr/lib/systemd/system "$root/usr/lib/systemd"
printf '#!/bin/sh\n' > "$root/opt/doorstep/bin/doorstep"
chmod +x "$root/opt/doorstep/bin/doorstep"
for unit in "$units"/*.service "$units"/*.socket "$units"/*.target; do
    said=$(systemd-analyze verify --root="$root" "${unit##*/}" 2>&1) || said="$said (exit status $?)"
    [ -z "$said" ] || { echo "$said" >&2 && exit 1; } # some releases only warn
done
exposure() { # SERVICE WHAT
    said=$(systemd-analyze security --root="$root" --offline=true --threshold=15 --no-pager "${1##*/}") || {
        echo "$said" | grep -E '✗|→' >&2
        exit 1
    }
    echo "$said" | sed -n "s/^.*Overall exposure level for \([^:]*\): \([0-9.]*\).*/\1$2: exposure \2 of 10, at most 1.5/p"
}
for unit in "$units"/doorstep-see.service "$units"/doorstep-tell.service "$units"/doorstep-keep.service; do exposure "$unit" ""; done
mkdir "$root/etc/systemd/system/doorstep-see.service.d"
cp "$units/see-pir.conf" "$root/etc/systemd/system/doorstep-see.service.d/pir.conf"
said=$(systemd-analyze verify --root="$root" doorstep-see.service 2>&1) || said="$said (exit status $?)"
[ -z "$said" ] || { echo "$said" >&2 && exit 1; }
exposure doorstep-see.service " with a sensor"
