"""Every command below `doorstep broker`: its words, its options, its examples.

Rule 1: every line fits into 80 columns, and every command has an example.
Rule 2: nothing is imported for it; a command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

DIR = Path("/etc/doorstep/broker")

# For each command: what it is for, and what is said below its options.
COMMANDS: dict[str, tuple[str, str]] = {
    "broker setup": ("make everything a stock Mosquitto 2 needs, hardened", """\
Done again it completes what is missing and changes what you ask for; it never
overwrites a key. Give every name and address by which phones and doors will
dial the broker. Then: broker device add, broker phone add, broker check.

examples:
  doorstep broker setup --host broker.lan --host 192.168.1.5
  doorstep broker setup --home-assistant   (later: its user and papers)
  doorstep broker setup --dir ~/broker --host localhost --dry-run"""),
    "broker renew": ("replace the broker's certificate; phones notice nothing", """\
The key and the authority stay. doorstep-broker-renew.timer does it each month,
so that a renewal that fails is seen long before the certificate ends.

example:
  doorstep broker renew"""),
    "broker check": ("try to break in, and look for what should not be there", """\
Comes as nobody, as a wrong user, in plaintext, with an old TLS, with too large
a packet, to publish and to listen in; looks at the certificate, at what is
retained, at modes and at the memory folder. Exit status 1 if anything is amiss.

example:
  doorstep broker check"""),
    "broker device add": ("give a door its user; its papers lie in devices/ID", """\
ID is the `id` in the door's doorstep.toml. Carry devices/ID to the door.

example:
  doorstep broker device add front-door"""),
    "broker device remove": ("forget a door, and cut it off", """\
example:
  doorstep broker device remove front-door"""),
    "broker device list": ("the doors", """\
example:
  doorstep broker device list"""),
    "broker phone add": ("pair a phone: settings, QR codes, imports, steps", """\
Shows its settings and writes phones/NAME: an import for IoT MQTT Panel, the CA
file for Android, a profile for iPhones, QR codes and the steps for each app.
It may read the alerts and the status of its doors, and write nothing.

examples:
  doorstep broker phone add anna
  doorstep broker phone add neighbour --door garden-gate --language fr"""),
    "broker phone remove": ("forget a phone, and cut it off at once", """\
example:
  doorstep broker phone remove anna"""),
    "broker phone list": ("the phones, and the doors each is told of", """\
example:
  doorstep broker phone list"""),
    "broker ntfy": ("relay alerts to an ntfy server of yours (off unless run)", """\
An iPhone sleeps through MQTT; the ntfy app wakes it. The relay is paired like
a phone, and posts the words of each alert, and nothing else, to one topic.

TO is a file that only you can read (chmod 600):
  url = "https://ntfy.example/a-long-random-topic"
  token = "tk_..."   (where the server asks for one)

Who sees what: the server's operator sees the words, when, and your address,
and keeps messages for half a day unless set up otherwise; whoever knows the
topic reads it too. With your own server and iPhones, ntfy.sh and Apple see
that something came and when, and no words. With ntfy.sh, they see the words.

example:
  doorstep broker phone add relay
  doorstep broker ntfy --phone /etc/doorstep/broker/phones/relay --to ntfy.toml"""),
}
_GROUPS = {"broker": "set up a broker, pair phones", "broker device": "the doors that may tell",
           "broker phone": "the phones that are told"}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `broker` and all below it; what is chosen is in `run` of the result."""
    groups = {"": commands}
    for name, words in _GROUPS.items():
        above, _, last = name.rpartition(" ")
        group = groups[above].add_parser(last, help=words, description=f"{words[0].upper()}{words[1:]}.")
        groups[name] = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    subs: dict[str, argparse.ArgumentParser] = {}
    for name, (words, detail) in COMMANDS.items():
        above, _, last = name.rpartition(" ")
        subs[name] = groups[above].add_parser(last, help=words, description=f"{words[0].upper()}{words[1:]}.",
                                              epilog=detail, formatter_class=argparse.RawDescriptionHelpFormatter)
        subs[name].set_defaults(run=partial(_run, name))
        if name != "broker ntfy":
            subs[name].add_argument("--dir", type=Path, default=DIR, metavar="DIR",
                                    help="the broker's folder (default %(default)s)")
    _add_setup(subs["broker setup"])
    for name in ("broker device add", "broker device remove"):
        subs[name].add_argument("name", metavar="ID")
    for name in ("broker phone add", "broker phone remove"):
        subs[name].add_argument("name", metavar="NAME")
    subs["broker phone add"].add_argument("--door", action="append", default=[], metavar="ID",
                                          help="only this door; may be given again (default: all there are)")
    for name, what in (("broker setup", "of phones' papers (default en)"), ("broker phone add", "of its papers")):
        subs[name].add_argument("--language", choices=("en", "de", "fr", "es"), help=what)
    ntfy = subs["broker ntfy"]
    ntfy.add_argument("--phone", type=Path, required=True, metavar="FOLDER", help="its pairing, from broker phone add")
    ntfy.add_argument("--to", type=Path, required=True, metavar="TO", help="the file that names the ntfy topic")


def _add_setup(setup: argparse.ArgumentParser) -> None:
    setup.add_argument("--host", action="append", metavar="NAME",
                       help="a name or address of the broker; the first is given to phones")
    setup.add_argument("--port", type=int, metavar="N", help="to listen on, with TLS (default 8883)")
    setup.add_argument("--bind", metavar="ADDRESS", help="listen on this address only (default: all)")
    setup.add_argument("--loopback-port", type=int, metavar="N",
                       help="also listen without TLS, for this machine only; 0: no more")
    setup.add_argument("--memory", metavar="FOLDER",
                       help="where alerts wait for phones; must be in memory (default: below /run)")
    setup.add_argument("--user", metavar="USER",
                       help="the system user of Mosquitto (default: mosquitto if you are root, else you)")
    setup.add_argument("--connections", type=int, metavar="N", help="the most at once (default 200)")
    setup.add_argument("--home-assistant", action=argparse.BooleanOptionalAction, default=None,
                       help="also make Home Assistant's user; --no-...: forget it")
    setup.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")


def _run(name: str, options: argparse.Namespace) -> int:
    from broker.commands import RUNS

    return RUNS[name](options)
