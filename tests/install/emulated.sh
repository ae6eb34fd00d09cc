#!/bin/bash
# Run a command while this machine runs programs for arm64 too, in any folder: through QEMU, named to the kernel (binfmt_misc).
#
#   tests/install/emulated.sh PREFIX COMMAND...      as root; the emulator is fetched into PREFIX, once
#
# Rule 1: nothing outside PREFIX changes: the emulator is unpacked there and not installed, for that would name thirty processors.
# Rule 2: what was named to the kernel is taken back when the command has ended.
set -euo pipefail
trap 'echo "tests/install/emulated.sh: line $LINENO failed: $BASH_COMMAND" >&2' ERR

prefix=$(realpath -m "${1:?usage: tests/install/emulated.sh PREFIX COMMAND...}")
shift
[ "$(id -u)" = 0 ] || { echo "tests/install/emulated.sh tells the kernel of an emulator; try: sudo make test-arm" >&2; exit 2; }
[ "$(uname -m)" = x86_64 ] || { echo "tests/install/emulated.sh is for an x86-64 machine; this is $(uname -m)" >&2; exit 2; }
if [ ! -e "$prefix/qemu/whole" ]; then
    rm -rf "$prefix/qemu"
    mkdir -p "$prefix/qemu"
    (cd "$prefix/qemu" && apt-get -qq update && apt-get -qq -o APT::Sandbox::User=root download qemu-user-static && dpkg-deb -x qemu-user-static_*.deb . && rm ./*.deb)
    touch "$prefix/qemu/whole"
fi

# The line that Debian's own package would say, but for its name and where the emulator lies. F: the kernel opens that now, so
# that no folder need have it.
line=$(sed "s|^:qemu-aarch64:|:doorstep-arm64-$$:|; s|:/usr/|:$prefix/qemu/usr/|" "$prefix/qemu/usr/lib/binfmt.d/qemu-aarch64.conf")
case $line in :doorstep*F*) ;; *) echo "not as it was: $line" >&2; exit 1 ;; esac
kernel=$prefix/kernel-$$
mkdir -p "$kernel"
mount -t binfmt_misc binfmt_misc "$kernel" # the same one wherever it is mounted
gone() { [ "$1" = $$ ] || [ ! -e "/proc/$1" ]; }
take_back() { # also what a run that was killed has left
    for named in "$kernel"/doorstep-arm64-*; do
        if [ -e "$named" ] && gone "${named##*-}"; then echo -1 > "$named"; fi
    done
    for folder in "$prefix"/kernel-*; do
        if gone "${folder##*-}"; then umount "$folder" && rmdir "$folder"; fi
    done
}
trap take_back EXIT
echo "$line" > "$kernel/register"
"$@"
