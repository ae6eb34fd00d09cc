#!/bin/bash
# A board without a Raspberry Pi: an emulated PC on whose real kernel GPIO pins and a webcam are simulated, in a folder of its own.
#
#   tests/board/setup.sh PREFIX      as root, about 2 minutes, once; then: BOARD=PREFIX python -m pytest tests/board
#
# Rule 1: nothing outside PREFIX changes: Debian packages are unpacked there, not installed.
# Rule 2: packages come from the mirror and the index that this machine already uses.
# Rule 3: the project itself is no part of it: each test puts it in, so that changed code needs no new set-up.
# Needs: Debian 12 on x86-64, apt, python3 with pip; /dev/kvm is not used.
set -euo pipefail
trap 'echo "tests/board/setup.sh: line $LINENO failed: $BASH_COMMAND" >&2' ERR

prefix=$(realpath -m "${1:?usage: tests/board/setup.sh PREFIX}")
here=$(realpath "$(dirname "$0")")
project=$(realpath "$here/../..")

# What the project needs, but numpy, which is apt's as on a device, and with lgpio, which is apt's there and the index's here.
needed=$(python3 - "$project/pyproject.toml" <<'END'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file)["project"]
needed = project["dependencies"] + project["optional-dependencies"]["device"]
print(*(line for line in needed if not line.startswith("numpy")), "lgpio>=0.2.2", sep="\n")
END
)
stamp=$(cat "$0" "$here"/guest/* - <<< "$needed" | sha256sum)
[ "$(cat "$prefix/stamp" 2>/dev/null)" = "$stamp" ] && { echo "$prefix is up to date"; exit 0; }
[ "$(id -u)" = 0 ] || { echo "tests/board/setup.sh makes a file system of root's; try: sudo make test-board" >&2; exit 2; }
rm -rf "$prefix"
mkdir -p "$prefix"/apt/{lists/partial,cache/archives/partial} "$prefix"/{debs,host,kernel}
say() { echo "[${SECONDS} s] $*"; }

# 1. An apt state of our own that knows of backports: QEMU 10, since 7.2 loses one start in 25 to a fault of its
#    emulation, and the first of Debian's kernels that can simulate GPIO.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | awk 'NR == 1')
[ -n "$mirror" ] || { echo "apt has no Debian mirror; try: apt-get update" >&2; exit 1; }
cat > "$prefix/apt/debian.sources" <<END
Types: deb
URIs: $mirror
Suites: bookworm bookworm-backports trixie-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
cat > "$prefix/apt/apt.conf" <<END
Dir::Etc::sourcelist "$prefix/apt/debian.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$prefix/apt/lists";
Dir::Cache "$prefix/apt/cache";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
END
export APT_CONFIG=$prefix/apt/apt.conf
apt-get -qq update

# 2. The emulator and what it needs that this machine does not have.
backport() { printf "%s/bookworm-backports " "$@"; }
# shellcheck disable=SC2046  # words are wanted
apt-get -qq install -y --print-uris mmdebstrap $(backport qemu-system-x86 qemu-system-common qemu-system-data qemu-utils seabios) |
    awk '{print $2}' | sed -E 's/^([^_]+)_([^_]+)_.*/\1=\2/; s/%3a/:/' > "$prefix/packages.txt"
(cd "$prefix/debs" && xargs -a ../packages.txt apt-get -qq download)
for deb in "$prefix"/debs/*.deb; do dpkg-deb -x "$deb" "$prefix/host"; done
libraries=$prefix/host/usr/lib/x86_64-linux-gnu:$prefix/host/lib/x86_64-linux-gnu
say "QEMU $(LD_LIBRARY_PATH=$libraries "$prefix/host/usr/bin/qemu-img" --version | awk 'NR == 1 {print $3}')"

# 3. The system: what Raspberry Pi OS Bookworm is made of, with numpy from apt as there.
root=$prefix/root
env -u APT_CONFIG PATH="$prefix/host/usr/bin:$PATH" mmdebstrap --quiet --mode=root --variant=minbase \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include=systemd-sysv,udev,kmod,dbus,initramfs-tools,qemu-guest-agent,python3-venv,python3-numpy,mosquitto,mosquitto-clients,v4l-utils \
    --format=directory bookworm "$root" "$mirror"
say "system"

# 4. The kernel, with an initrd that finds one disk.
release=$(apt-cache show linux-image-amd64/trixie-backports | sed -nE 's/^Depends: .*linux-image-([^ ,]+).*/\1/p')
(cd "$prefix/kernel" && apt-get -qq download "linux-"{base,binary,modules}"-$release")
for deb in "$prefix"/kernel/*.deb; do dpkg-deb -x "$deb" "$root"; done
printf '%s\n' virtio_pci virtio_blk ext4 >> "$root/etc/initramfs-tools/modules"
printf 'MODULES=list\nCOMPRESS=gzip\n' > "$root/etc/initramfs-tools/conf.d/board"
cp "$root/usr/lib/modules/$release/config" "$root/boot/config-$release" # where mkinitramfs looks for it
chroot "$root" depmod "$release"
chroot "$root" mkinitramfs -o /boot/initrd.img "$release" 2> "$prefix/initramfs.log"
cp "$root/usr/lib/modules/$release/vmlinuz" "$root/boot/initrd.img" "$prefix/"
say "Linux $release"

# 5. A venv that sees the system's packages, as the one on a device.
chroot "$root" python3 -m venv --system-site-packages --without-pip /opt/doorstep
mapfile -t requirements <<< "$needed"
PIP_ROOT_USER_ACTION=ignore python3 -m pip --disable-pip-version-check -q install --no-compile --only-binary=:all: --python-version 3.11 \
    --platform manylinux_2_34_x86_64 --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
    --target "$root/opt/doorstep/lib/python3.11/site-packages" "${requirements[@]}"
chroot "$root" python3 -m compileall -q /opt/doorstep > "$prefix/compileall.log" || true # as pip does; old files may not compile
say "venv"

# 6. What makes it a board: the pins, the webcam and the word of a Raspberry Pi.
install -m 755 "$here/guest/board-up" "$root/usr/local/sbin/board-up"
install -m 644 "$here/guest/board.service" "$root/etc/systemd/system/board.service"
install -m 644 "$here/guest/60-gpio.rules" "$root/etc/udev/rules.d/60-gpio.rules"
echo board > "$root/etc/hostname"
printf "127.0.0.1\tlocalhost board\n" > "$root/etc/hosts"
echo '/dev/vda / ext4 noatime 0 1' > "$root/etc/fstab"
echo uninitialized > "$root/etc/machine-id"
chroot "$root" groupadd -rf gpio
chroot "$root" systemctl -q enable board.service
chroot "$root" systemctl -q disable mosquitto.service
chroot "$root" systemctl -q mask getty@tty1.service apt-daily.timer apt-daily-upgrade.timer fstrim.timer e2scrub_all.timer
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*

# 7. Its disk; then it is started once, and how it stands then is kept in the disk's file.
truncate -s 2G "$prefix/disk.raw"
mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 -d "$root" "$prefix/disk.raw"
LD_LIBRARY_PATH=$libraries "$prefix/host/usr/bin/qemu-img" convert -O qcow2 "$prefix/disk.raw" "$prefix/disk.qcow2"
rm -rf "$prefix"/{disk.raw,apt,debs,kernel} "$root"
cat > "$prefix/board" <<END
#!/bin/sh
# The machine; its sockets are in the folder that this is started in.
LD_LIBRARY_PATH=$libraries exec "$prefix/host/usr/bin/qemu-system-x86_64" \\
    -L "$prefix/host/usr/share/seabios" -L "$prefix/host/usr/share/qemu" \\
    -accel tcg,thread=multi -cpu max -M q35,usb=off,vmport=off,hpet=off -smp 2 -m 1024 \\
    -nodefaults -no-user-config -display none -no-reboot -serial file:serial.log -monitor unix:monitor,server=on,wait=off \\
    -kernel "$prefix/vmlinuz" -initrd "$prefix/initrd.img" \\
    -append "root=/dev/vda ro quiet console=ttyS0 panic=-1 mitigations=off tsc=reliable" \\
    -drive "file=$prefix/disk.qcow2,if=none,id=disk,cache=unsafe" -device virtio-blk-pci,drive=disk \\
    -device virtio-rng-pci -device virtio-serial-pci -chardev socket,id=agent,path=agent,server=on,wait=off \\
    -device virtserialport,chardev=agent,name=org.qemu.guest_agent.0 "\$@"
END
chmod +x "$prefix/board"
say "disk"
(cd "$project" && python3 -m tests.board.rig "$prefix")
echo "$stamp" > "$prefix/stamp"
say "ready: $prefix, $(du -sh "$prefix" | cut -f1)"
