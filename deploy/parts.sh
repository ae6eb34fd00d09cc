# What lies where, and who owns it: read by deploy/install.sh and deploy/deb/build.sh; each of the package's own scripts
# begins with it.
# shellcheck shell=bash disable=SC2034 # who reads this uses them
venv=/opt/doorstep
etc=/etc/doorstep
toml=$etc/doorstep.toml
state=/var/lib/doorstep
manual=/usr/local/share/man/man1/doorstep.1 # the installer's
units=/etc/systemd/system
dropin=$units/doorstep-tell.service.d
sensor=$units/doorstep-see.service.d
mosquitto=$units/mosquitto.service.d
people="doorstep-see doorstep-tell doorstep-keep"
services="doorstep.target doorstep-see.socket doorstep-tell.socket doorstep-tell-keep.socket doorstep-keep.socket
    doorstep-see.service doorstep-tell.service doorstep-keep.service"

# Each file, its place below /etc (the installer's) or /usr/lib (the package's), and where: on every machine, where the
# broker is on it too, or where the owner puts it. Those of mosquitto and pir change another unit: they lie below /etc
# always, laid when the door is configured so, and the package carries them.
layout="
systemd/doorstep.sysusers        sysusers.d/doorstep.conf                             every
systemd/doorstep.tmpfiles        tmpfiles.d/doorstep.conf                             every
systemd/60-doorstep.rules        udev/rules.d/60-doorstep.rules                       every
systemd/journald@doorstep.conf   systemd/journald@doorstep.conf.d/doorstep.conf       every
systemd/doorstep.target          systemd/system/doorstep.target                       every
systemd/doorstep-see.socket      systemd/system/doorstep-see.socket                   every
systemd/doorstep-see.service     systemd/system/doorstep-see.service                  every
systemd/doorstep-tell.socket     systemd/system/doorstep-tell.socket                  every
systemd/doorstep-tell-keep.socket systemd/system/doorstep-tell-keep.socket            every
systemd/doorstep-tell.service    systemd/system/doorstep-tell.service                 every
systemd/doorstep-keep.socket     systemd/system/doorstep-keep.socket                  every
systemd/doorstep-keep.service    systemd/system/doorstep-keep.service                 every
doorstep-broker-renew.service    systemd/system/doorstep-broker-renew.service         broker
doorstep-broker-renew.timer      systemd/system/doorstep-broker-renew.timer           broker
mosquitto-doorstep.conf          systemd/system/mosquitto.service.d/doorstep.conf     mosquitto
systemd/see-pir.conf             systemd/system/doorstep-see.service.d/pir.conf       pir
doorstep-ntfy.service            systemd/system/doorstep-ntfy.service                 owner
"

# The lines of these kinds: each a file and its place.
laid() { # KIND...
    awk -v kinds=" $* " 'NF && index(kinds, " " $3 " ") { print $1, $2 }' <<< "$layout"
}

# Do it; the installer has one that only says it.
do_() { "$@"; }

# Whether systemd runs here; in an image that is being built it does not.
runs() { [ -d /run/systemd/system ]; }

make_people() {
    do_ systemd-sysusers doorstep.conf
    do_ systemd-tmpfiles --create doorstep.conf
    if [ -e /run/udev/control ]; then # not so in a container
        do_ udevadm control --reload
        do_ udevadm trigger --action=change --subsystem-match=gpio --subsystem-match=dma_heap
    fi
}

remove_people() {
    local name
    # A number that is free again must own nothing.
    for name in "$etc/password" "$state"; do [ ! -e "$name" ] || do_ chown -R root: "$name"; done
    for name in $people; do
        if getent passwd "$name" > /dev/null; then do_ userdel "$name"; fi
        if getent group "$name" > /dev/null; then do_ groupdel "$name"; fi
    done
}

# The folder of libraries that this machine's Python looks into.
libraries() { python3 -c 'import sys; print("lib/python%d.%d" % sys.version_info[:2])' 2> /dev/null || echo lib; }
