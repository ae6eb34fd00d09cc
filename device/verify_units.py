"""The settings of the units that must be in force, as `systemctl show` prints them.

Rule 1: what is in force counts, so that a drop-in which loosens something is seen; the order of words does not.
Rule 2: each is in the unit as shipped, too, which a test compares.
"""

from __future__ import annotations

_ALL = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "RestrictSUIDSGID": "yes",
    "RestrictRealtime": "yes",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "PrivateUsers": "yes",
    "PrivateIPC": "yes",
    "PrivateMounts": "yes",
    "PrivateTmp": "yes",
    "ProtectProc": "invisible",
    "KeyringMode": "private",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "ProtectControlGroups": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectHostname": "yes",
    "ProtectClock": "yes",
    "DevicePolicy": "closed",
    "SystemCallArchitectures": "native",
    "LimitCORE": "0",
    "MemorySwapMax": "0",
    "UMask": "0077",
    "LogNamespace": "doorstep",
    "IPAddressDeny": "0.0.0.0/0 ::/0",
    "TemporaryFileSystem": "/run:ro",
}

_CLOCK = "char-rtc r"  # systemd's own, by ProtectClock=

SETTINGS: dict[str, dict[str, str]] = {
    "see": {**_ALL, "User": "doorstep-see", "PrivateNetwork": "yes", "IPAddressAllow": "",
            "RestrictAddressFamilies": "AF_UNIX AF_NETLINK",
            "DeviceAllow": f"{_CLOCK} char-video4linux rw char-media rw char-dma_heap rw"},
    "tell": {**_ALL, "User": "doorstep-tell", "DeviceAllow": _CLOCK, "ProcSubset": "pid"},
    "keep": {**_ALL, "User": "doorstep-keep", "PrivateNetwork": "yes", "IPAddressAllow": "",
             "RestrictAddressFamilies": "AF_UNIX", "DeviceAllow": f"{_CLOCK} char-gpiochip rw",
             "StateDirectoryMode": "0700"},
}

# `see` with a motion sensor: what deploy/systemd/see-pir.conf makes of it.
SENSOR: dict[str, str] = {**SETTINGS["see"], "RestrictAddressFamilies": "AF_UNIX",
                          "DeviceAllow": f"{_CLOCK} char-gpiochip rw"}

# Who may do what with the sockets between the processes: mode, user, group. The group is the sender's.
LINKS: dict[str, tuple[int, str, str]] = {
    "": (0o755, "root", "root"),  # their folder
    "tell.sock": (0o620, "root", "doorstep-see"),
    "tell-keep.sock": (0o620, "root", "doorstep-keep"),
    "see.sock": (0o620, "root", "doorstep-keep"),
    "video.sock": (0o620, "root", "doorstep-see"),
}

GROUPS: dict[str, frozenset[str]] = {  # besides its own
    "see": frozenset({"video"}),
    "sensor": frozenset({"gpio"}),
    "tell": frozenset(),
    "keep": frozenset({"gpio"}),
}
