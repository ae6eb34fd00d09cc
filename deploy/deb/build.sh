#!/bin/bash
# Makes dist/doorstep_VERSION_amd64.deb and _arm64.deb: what deploy/install.sh lays, by the same list, and every library.
#
#   deploy/deb/build.sh PYTHON       one with the packages of deploy/lock-build.txt; make deb has it
#
# Rule 1: the same files and the same SOURCE_DATE_EPOCH, by default the last commit's, give the same bytes.
# Rule 2: what is fetched stands in deploy/lock.txt with its hash, or it is refused.
set -eEuo pipefail
export LC_ALL=C TZ=UTC
umask 022
trap 'echo "build.sh: line $LINENO failed: $BASH_COMMAND" >&2' ERR

here=$(dirname "$(realpath "$0")")
deploy=$(dirname "$here")
project=$(dirname "$deploy")
python=$1
# shellcheck source=deploy/parts.sh
. "$deploy/parts.sh"
# shellcheck source=deploy/wheels.sh
. "$deploy/wheels.sh"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$project" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$project/pyproject.toml")
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

have() { install -D -m "${3:-644}" "$1" "$root$2"; } # SOURCE TARGET [MODE]

# One of the package's scripts: deploy/parts.sh, and then what is its own.
script() { # NAME
    { printf '#!/bin/bash\nset -e\n' && cat "$deploy/parts.sh" "$here/$1"; } > "$root/DEBIAN/$1"
    chmod 755 "$root/DEBIAN/$1"
}

program() { # MACHINE
    local python_version wheels=$root/usr/lib/doorstep/wheels
    mkdir -p "$wheels"
    for python_version in $pythons; do
        fetch "$1" "$python_version" "$wheels" --no-deps --require-hashes --requirement "$deploy/lock.txt"
    done
    cp "$work"/doorstep-*.whl "$wheels"
    {
        cat "$deploy/lock.txt"
        sha256sum "$work"/doorstep-*.whl | sed "s/^\([0-9a-f]*\) .*/doorstep==$version --hash=sha256:\1/"
    } > "$root/usr/lib/doorstep/requirements.txt"
    ln -sn "$venv/bin/doorstep" "$root/usr/bin/doorstep"
}

files() {
    local file place
    while read -r file place; do have "$deploy/$file" "/usr/lib/$place"; done < <(laid every broker owner)
    have "$deploy/install.sh" /usr/lib/doorstep/install.sh 755
    have "$deploy/parts.sh" /usr/lib/doorstep/parts.sh
    while read -r file place; do have "$deploy/$file" "/usr/lib/doorstep/$file"; done < <(laid mosquitto pir)
    ln -sn ../lib/doorstep/install.sh "$root/usr/sbin/doorstep-configure"
}

papers() { # ARCHITECTURE
    local doc=/usr/share/doc/doorstep file
    for file in README.md PRIVACY.md CLIPS.md deploy/README.md broker/README.md; do have "$project/$file" "$doc/$file"; done
    gzip -9n < "$deploy/doorstep.1" > "$root/usr/share/man/man1/doorstep.1.gz"
    have "$here/lintian-overrides" /usr/share/lintian/overrides/doorstep
    gzip -9n < "$project/CHANGELOG.md" > "$root$doc/NEWS.md.gz"
    printf 'doorstep (%s) stable; urgency=medium\n\n  * See NEWS.md.gz.\n\n -- The Doorstep authors <doorstep@localhost>  %s\n' \
        "$version" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9n > "$root$doc/changelog.gz"
    "$python" "$here/papers.py" "$root/usr/lib/doorstep/wheels" "$1" "$root$doc"
}

package() { # ARCHITECTURE MACHINE
    root=$work/$1
    mkdir -p "$root"/{DEBIAN,usr/bin,usr/sbin,usr/share/man/man1}
    program "$2"
    files
    papers "$1"
    for file in postinst prerm postrm; do script "$file"; done
    cp "$here/triggers" "$root/DEBIAN/triggers"
    sed "s/@VERSION@/$version/; s/@ARCHITECTURE@/$1/; s/@SIZE@/$(du -k --apparent-size -s "$root/usr" | cut -f1)/" "$here/control" > "$root/DEBIAN/control"
    (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
    find "$root" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group --threads-max=1 -Zxz -z1 --build "$root" "$project/dist/doorstep_${version}_$1.deb"
}

mkdir -p "$project/dist"
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --wheel-dir "$work" "$project"
package amd64 x86_64
package arm64 aarch64
