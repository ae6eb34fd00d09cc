#!/bin/bash
# Puts Doorstep onto this machine as three confined services, or takes it off again. Raspberry Pi OS or Debian 12 and 13.
#
#   sudo deploy/install.sh                asks what it needs to know, and does it; the same again is an upgrade
#   deploy/install.sh --dry-run           says what it would do
#   deploy/install.sh --help              how to answer beforehand
#
# Rule 1: done twice it changes nothing more, and an upgrade is the same command in a newer checkout.
# Rule 2: what lies in /etc/doorstep and /var/lib/doorstep is never overwritten and never removed.
# Rule 3: a key that opens clips is shown once and written nowhere; the broker's password is doorstep-tell's alone.
set -eEuo pipefail
export LC_ALL=C
trap 'echo "${0##*/}: line $LINENO failed: $BASH_COMMAND" >&2' ERR

deploy=$(dirname "$(realpath "$0")")
project=$(dirname "$deploy")
packaged='' # from the package, as doorstep-configure, it lays nothing: it asks, configures and starts
[ -e "$project/pyproject.toml" ] || packaged=yes
# shellcheck source=deploy/parts.sh
. "$deploy/parts.sh"

usage() {
    echo "usage: $0 [options]"
    cat <<'HELP'

  --place WORDS         your words for the place (default "front door")
  --language CODE       of alerts and papers: en, de, fr or es (default en)
  --id NAME             its name in MQTT topics (default: made of the place)
  --pir PIN             no camera: a motion sensor at this pin (BCM number)
  --recipient age1...   who can open clips; see: doorstep key new --help
  --new-key             make that key here and show it once
  --no-recording        nobody: nothing is recorded
  --broker HOST         the MQTT broker (default: one on this machine)
  --port N              its port (default 8883)
  --ca FILE             who vouches for it (default: the system's authorities)
  --user NAME           its user name for this door
  --password-file FILE  a file with the password
  --dry-run             say what would be done, and do nothing
  --uninstall           remove everything but configuration and recordings

What is not given is asked for in a terminal, and else left at its default. The
environment can give it too: DOORSTEP_PLACE, DOORSTEP_ID, DOORSTEP_RECIPIENT,
DOORSTEP_BROKER, DOORSTEP_PORT, DOORSTEP_CA, DOORSTEP_USER,
DOORSTEP_PASSWORD_FILE, DOORSTEP_PIR, DOORSTEP_LANGUAGE.
HELP
}

die() {
    echo "${0##*/}: error: $1" >&2
    echo "${0##*/}: hint: $2" >&2
    exit 2
}

say() { echo "== $*"; }

# Do it, or say that it would be done.
do_() { if [ "$dry" ]; then echo "would: $*"; else "$@"; fi; }

# Have a file as it is here; nothing happens where it is so already.
put() { # SOURCE TARGET [MODE [OWNER]]
    local mode=${3:-644} owner=${4:-root}
    if cmp -s "$1" "$2" && [ "$(stat -c '%a %U' "$2")" = "$mode $owner" ]; then return; fi
    do_ install -D -o "$owner" -g root -m "$mode" "$1" "$2"
}

# Have a file hold what comes on standard input.
write() { # TARGET [MODE [OWNER]]
    local file
    file=$(mktemp)
    cat > "$file"
    if [ "$dry" ]; then echo "would write $1:" && sed 's/^/    /' "$file"; else put "$file" "$@"; fi
    rm -f "$file"
}

ask() { # VARIABLE QUESTION
    if [ -z "${!1}" ] && [ -t 0 ] && [ -z "$dry" ]; then read -rp "$2 " "$1"; fi
}

main() {
    place=${DOORSTEP_PLACE:-} id=${DOORSTEP_ID:-} recipient=${DOORSTEP_RECIPIENT:-} broker=${DOORSTEP_BROKER:-}
    port=${DOORSTEP_PORT:-} ca=${DOORSTEP_CA:-} user=${DOORSTEP_USER:-} password_file=${DOORSTEP_PASSWORD_FILE:-}
    pir=${DOORSTEP_PIR:-} language=${DOORSTEP_LANGUAGE:-} dry='' uninstall=''
    while [ $# -gt 0 ]; do
        case $1 in
            --place | --id | --language | --pir | --recipient | --broker | --port | --ca | --user | --password-file)
                [ $# -gt 1 ] || die "$1 needs a value" "try: $0 --help"
                name=${1#--}
                printf -v "${name//-/_}" %s "$2"
                shift
                ;;
            --new-key) recipient=new ;;
            --no-recording) recipient=none ;;
            --dry-run) dry=yes ;;
            --uninstall) uninstall=yes ;;
            --help) usage && exit ;;
            *) die "unknown option $1" "try: $0 --help" ;;
        esac
        shift
    done
    [ "$dry" ] || [ "$(id -u)" = 0 ] || die "only root can do this" "try: sudo $0, or: $0 --dry-run"
    if [ ! "$uninstall" ]; then install_; elif [ ! "$packaged" ]; then uninstall; else die "this is the package's" "try: sudo apt remove doorstep"; fi
}

install_() {
    check_machine
    questions
    packages
    if [ ! "$packaged" ]; then
        program
        accounts
    fi
    configuration
    start
    goodbye
}

check_machine() {
    [ "$packaged" ] || [ "$(status doorstep)" != installed ] ||
        die "the package doorstep is installed" "upgrade that, or: sudo apt remove doorstep; to configure it: sudo doorstep-configure"
    command -v apt-get > /dev/null || die "this is no Debian" "Raspberry Pi OS Bookworm or Trixie, or Debian 12 or 13"
    case $(dpkg --print-architecture) in
        arm64 | amd64) ;;
        *) die "$(dpkg --print-architecture) has no packages of numpy and age" "use the 64-bit Raspberry Pi OS" ;;
    esac
    local version
    version=$(dpkg-query -W -f '${Version}' systemd 2> /dev/null || true)
    dpkg --compare-versions "${version:-0}" ge 252 || die "systemd is older than 252, or missing" "use Bookworm or Trixie"
}

# Ask for what was not given; an upgrade has its answers in doorstep.toml.
questions() {
    if [ -e "$toml" ]; then
        say "$toml is kept as it is"
        [ -z "$place$id$language$pir$recipient$broker$port$ca$user$password_file" ] ||
            die "$toml is there already, so nothing of it can be set here" "edit it, and run this without options"
        return
    fi
    ask place 'Your words for the place, as in "motion at front door" [front door]:'
    place=${place:-front door}
    id=${id:-$(tr '[:upper:]' '[:lower:]' <<< "$place" | sed -E 's/[^a-z0-9]+/-/g; s/^-+//' | cut -c-32)}
    [ -n "$id" ] || die "no name can be made of \"$place\"" "add: --id front-door"
    ask recipient "$(printf '%s\n' 'Who can open recorded clips? The age1... of: doorstep key new, on your computer.' \
        'Or: new (a key is made and shown here once), none (nothing is recorded) [none]:')"
    recipient=${recipient:-none}
    ask broker 'The MQTT broker, by name or address; empty: one on this machine:'
    if [ -n "$broker" ] && [ "$broker" != localhost ]; then
        ask ca 'A file with the certificate that vouches for it; empty: the authorities of the system:'
        ask user 'Its user name for this door; empty: none:'
        [ -z "$user" ] || ask password_file 'A file with the password:'
    fi
    for file in "$ca" "$password_file"; do
        [ -z "$file" ] || [ -r "$file" ] || die "$file cannot be read" "name it by its whole path"
    done
    { [ -n "$user" ] && [ -n "$password_file" ]; } || [ -z "$user$password_file" ] ||
        die "--user and --password-file belong together" "give both, or neither"
}

# What apt has and the processes need. numpy and the camera's libraries fit each other there, and nowhere else.
packages() {
    local wanted="python3 python3-venv python3-numpy libseccomp2" missing='' name before
    [ -e "$toml" ] || [ -n "$broker" ] || wanted+=" mosquitto"
    local optional="python3-picamera2 python3-lgpio"
    for name in $wanted $optional; do
        [ "$(status "$name")" = installed ] || missing+=" $name"
    done
    [ -n "$missing" ] || return 0
    say "packages:$missing"
    do_ apt-get -q update
    for name in $optional; do # a plain Debian has no Pi's camera, and maybe no pins
        if ! apt-cache policy "$name" | grep -q 'Candidate: [0-9]' && [[ $missing == *" $name"* ]]; then
            echo "$name is not in apt here: going on without it"
            missing=${missing/ $name/}
        fi
    done
    [ -n "$missing" ] || return 0
    before=$(installed)
    # shellcheck disable=SC2086 # one package a word
    do_ env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing
    [ "$dry" ] || [ "$packaged" ] || { install -d "$venv" && comm -13 <(echo "$before") <(installed) >> "$venv/packages"; }
}

status() { dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null || true; } # PACKAGE

installed() { dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort; }

# The program, in a venv that sees the system's packages; of numpy there must never be a second one beside apt's.
program() {
    say "program in $venv"
    if [ ! -d "$venv/$(libraries)" ]; then # new, or the system's Python is
        do_ rm -rf "$venv"/{bin,include,lib,lib64}
        do_ python3 -m venv --system-site-packages "$venv"
    fi
    if [ "$dry" ]; then
        echo "would: $venv/bin/pip install what deploy/lock.txt pins, and '${project}[device]'"
    else
        printf 'numpy==%s\n' "$(python3 -c 'import numpy; print(numpy.__version__)')" > "$venv/constraints"
        export PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
        "$venv/bin/pip" install --quiet --no-deps --require-hashes --requirement "$deploy/lock.txt"
        "$venv/bin/pip" install --quiet --constraint "$venv/constraints" "${project}[device]"
        "$venv/bin/python" -c 'import numpy, sys; sys.exit(not numpy.__file__.startswith("/usr/lib/python3/"))' ||
            die "numpy is not apt's" "try: sudo rm -r $venv/lib, and the same again"
    fi
    [ "$(readlink /usr/local/bin/doorstep)" = "$venv/bin/doorstep" ] || do_ ln -sfn "$venv/bin/doorstep" /usr/local/bin/doorstep
    put "$deploy/doorstep.1" "$manual"
}

accounts() {
    say "users, devices and units"
    getent group gpio > /dev/null || do_ touch "$venv/made-group-gpio"
    lay every
    if [ -e "$mosquitto/doorstep.conf" ]; then broker_units; fi
    make_people
}

lay() { # KIND...
    local file place
    while read -r file place; do put "$deploy/$file" "/etc/$place"; done < <(laid "$@")
}

configuration() {
    say "configuration in $etc"
    if [ ! -e "$toml" ]; then
        local papers=$etc/broker/devices/$id
        if [ "$recipient" = new ]; then new_key; fi
        if [ -z "$broker" ]; then own_broker; fi
        [ -z "$password_file" ] || put "$password_file" "$etc/password" 600 doorstep-tell
        [ -z "$ca" ] || put "$ca" "$etc/ca.crt"
        [ ! -e "$papers" ] || do_ rm -r "$papers" # they are where they belong
        settings | write "$toml.new"
        check "$toml.new" || { rm "$toml.new" && die "so nothing was configured" "mend it, and run this again"; }
        do_ mv "$toml.new" "$toml"
    else
        [ ! -e "$etc/password" ] || do_ chown doorstep-tell:root "$etc/password" # an uninstallation gave it to root
        check "$toml"
    fi
    reach
    eye
}

# As the user who will read it.
check() {
    local who=doorstep-tell
    do_ setpriv --reuid=$who --regid=$who --clear-groups "$venv/bin/doorstep" config check "$1"
}

quoted() { python3 -c 'import json, sys; print(json.dumps(sys.argv[1], ensure_ascii=False))' "$1"; }

settings() {
    echo "# doorstep config example: every setting with its default"
    echo "version = 1"
    echo "id = $(quoted "$id")"
    echo "place = $(quoted "$place")"
    [ -z "$language" ] || echo "language = $(quoted "$language")"
    printf '\n[broker]\nhost = %s\n' "$(quoted "$broker")"
    if [ "$broker" = localhost ] && [ -z "$ca" ]; then printf 'port = %s\ntls = false\n' "${port:-1883}"; else echo "port = ${port:-8883}"; fi
    [ -z "$ca" ] || echo "ca_file = \"$etc/ca.crt\""
    [ -z "$user" ] || printf 'user = %s\npassword_file = "%s"\n' "$(quoted "$user")" "$etc/password"
    [ -z "$pir" ] || printf '\n[camera]\nsource = "pir"\npin = %s\n' "$pir"
    [ "$recipient" = none ] || printf '\n[recording]\nrecipients = [%s]\n' "$(quoted "$recipient")"
}

# A key for who has no other computer at hand: on this screen, once.
new_key() {
    if [ "$dry" ]; then echo "would: make a key and show it once" && recipient=age1... && return; fi
    local secret
    secret=$("$venv/bin/doorstep" key new --here -)
    recipient=$(sed -n 's/^# public key: //p' <<< "$secret")
    printf '\n%s\n\n%s\n\n' "This opens your clips. It is shown this once and kept nowhere: put it into a file on your computer." "$secret"
    if [ -t 0 ]; then read -rp "Enter, when you have it: "; fi
}

# A broker on this machine, hardened by Doorstep's own command, with this door as its first user.
own_broker() {
    broker=localhost user=$id ca=$papers/ca.crt password_file=$papers/password
    if [ "$dry" ]; then
        echo "would: doorstep broker setup, doorstep broker device add $id, and have Mosquitto and a timer follow"
        return
    fi
    # shellcheck disable=SC2046 # one address a word
    "$venv/bin/doorstep" broker setup ${language:+--language "$language"} --host "$(hostname).local" --host localhost $(hostname -I | tr ' ' '\n' | sed -n '/\./s/^/--host /p')
    if "$venv/bin/doorstep" broker device list | grep -qx "$id"; then "$venv/bin/doorstep" broker device remove "$id"; fi
    "$venv/bin/doorstep" broker device add "$id"
    user=$(sed -n 's/^user = "\(.*\)"/\1/p' "$papers/doorstep.toml")
    broker_units
}

broker_units() { if [ "$packaged" ]; then lay mosquitto; else lay broker mosquitto; fi; }

# Let doorstep-tell reach the broker and nobody else. It asks no resolver: the address is looked up here, once.
reach() {
    local host addresses
    host=${broker:-$(setting broker host)}
    [ -n "$host" ] || die "$toml names no broker" "add: host under [broker]"
    addresses=$({ getent ahosts "$host" || true; } | awk '$1 !~ /%/ {print $1}' | sort -u)
    [ -n "$addresses" ] || die "no machine is called $host" "check host in $toml, or give its address"
    # shellcheck disable=SC2086 # one address a word
    write "$dropin/broker.conf" << UNIT
# Written by $0: the broker in $toml. If that changes, or its address, run it again.
[Service]
$(printf 'IPAddressAllow=%s\n' $addresses)
BindReadOnlyPaths=$dropin/hosts:/etc/hosts
UNIT
    # shellcheck disable=SC2086
    printf "%s $host\n" $addresses | write "$dropin/hosts"
}

# With a motion sensor the process that watches has the pins, and no camera.
eye() {
    local source=${pir:+pir}
    [ ! -e "$toml" ] || source=$(setting camera source)
    if [ "$source" = pir ]; then
        lay pir
    elif [ -e "$sensor/pir.conf" ]; then
        do_ rm "$sensor/pir.conf"
        do_ rmdir --ignore-fail-on-non-empty "$sensor"
    fi
}

setting() { # TABLE KEY
    python3 -c 'import sys, tomllib; print(tomllib.load(open(sys.argv[1], "rb")).get(sys.argv[2], {}).get(sys.argv[3], ""))' "$toml" "$1" "$2"
}

start() {
    say "services"
    do_ systemctl --quiet enable doorstep.target
    if ! runs; then echo "systemd does not run here: they start with the machine" && return; fi
    do_ systemctl daemon-reload
    if [ -e "$mosquitto/doorstep.conf" ]; then
        do_ systemctl restart mosquitto.service
        do_ systemctl enable --quiet --now doorstep-broker-renew.timer
    fi
    do_ systemctl restart doorstep.target
}

goodbye() {
    say "done"
    cat << END_
How it is:          doorstep status
What it can see:    sudo systemctl stop doorstep-see.socket; sudo doorstep walk; sudo systemctl restart doorstep.target
On your phone:      in an MQTT app, with your broker's address, subscribe to doorstep/+/alert and doorstep/+/status at
                    QoS 1, with a fixed client id, clean session off, and a keepalive of minutes. Home Assistant finds the
                    door by itself. MQTT alone cannot wake an iPhone; Home Assistant's app can.
END_
    if [ -e "$etc/broker" ]; then echo "                    sudo doorstep broker phone add NAME shows all of it, with a QR code."; fi
    if [ -e /var/lib/doorstep/clips/device.pub ]; then
        printf 'Note this, it vouches for clips: %s\n' "$("$venv/bin/doorstep" clips verify /var/lib/doorstep/clips | grep -o 'SHA256:[^ ]*' | head -1)"
    fi
}

uninstall() {
    local name list=''
    if runs; then do_ systemctl disable --now doorstep.target || true; else do_ systemctl --quiet disable doorstep.target || true; fi
    for name in $services; do
        if runs; then do_ systemctl stop "$name" || true; fi
    done
    local with_broker=''
    if runs && [ -e "$mosquitto/doorstep.conf" ]; then
        with_broker=yes
        do_ systemctl disable --now doorstep-broker-renew.timer
    fi
    # shellcheck disable=SC2046 # one file a word
    do_ rm -rf $(laid every broker mosquitto pir | sed 's|.* |/etc/|') "$dropin" /usr/local/bin/doorstep "$manual" /run/doorstep
    for name in "$mosquitto" "$sensor" "${manual%/*}" /etc/sysusers.d /etc/systemd/journald@doorstep.conf.d; do
        [ ! -d "$name" ] || do_ rmdir --ignore-fail-on-non-empty "$name"
    done
    if runs; then
        do_ systemctl daemon-reload
        [ -z "$with_broker" ] || do_ systemctl restart mosquitto.service # as it was configured before
    fi
    do_ rm -rf /run/doorstep-broker # what waited for phones; it is kept while Mosquitto starts anew
    remove_people
    if [ -e "$venv/made-group-gpio" ]; then do_ groupdel gpio; fi
    [ ! -e "$venv/packages" ] || list=$(cat "$venv/packages")
    do_ rm -rf "$venv"
    remove_packages "$list"
    say "done; left as they are: $etc and $state"
}

# Remove what the installation brought, unless something else needs it by now.
remove_packages() { # LIST
    [ -n "$1" ] || return 0
    local would
    # shellcheck disable=SC2086 # one package a word
    would=$(apt-get -s purge $1 | sed -n 's/^Purg \([^ ]*\).*/\1/p' | sort)
    if [ -n "$(comm -13 <(sort <<< "$1") <(echo "$would"))" ]; then
        printf 'these packages came with Doorstep, and something else needs them by now:\n%s\n' "$1"
        return
    fi
    # shellcheck disable=SC2086
    do_ env DEBIAN_FRONTEND=noninteractive apt-get -q purge -y $1
}

main "$@"
