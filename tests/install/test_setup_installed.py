"""The guided set-up on an installed door: it borrows camera and pins from the services, and gives them back."""

from __future__ import annotations

import json

from tests.install.machine import Machine
from tests.install.test_install import ORDERS
from tests.rig import until

ANSWERS = 'place = "back door"\nkey = "none"\nphone = ""\nalert = true\n'


def test_an_installed_door_is_tried_and_watches_again(machine: Machine) -> None:
    """The second command of every owner of a Pi. A door that is left unwatched by it would be worse than one that was not tried."""
    machine.run(*ORDERS)
    toml = machine.tree / "etc/doorstep/doorstep.toml"
    toml.write_text(toml.read_text() + '\n[camera]\nsource = "porch"\n')
    (machine.tree / "root/answers.toml").write_text(ANSWERS)
    machine.start()

    def well() -> bool:
        said = machine.run("doorstep", "status", "--json", status=None)
        return said.startswith("{") and bool(json.loads(said)["well"])

    until(well, lambda: machine.run("doorstep", "status", status=None), 60)
    before = toml.read_text()
    said = " ".join(machine.run("doorstep", "setup", "--answers", "/root/answers.toml").split())
    for words in ("doorstep-see runs: watching", "Stop the services", 'Done already: "motion at back door"', "frames/s of 10, 160 x 120",
                  "try the button and the light: doorstep setup button", "can open clips", "Done already: localhost:1883",
                  'The broker has taken "motion at back door"', "sudo doorstep verify"):
        assert words in said, said
    assert toml.read_text() == before
    until(well, lambda: machine.run("doorstep", "status", status=None), 60)
    assert "watching" in machine.run("mosquitto_sub", "-C", "1", "-W", "30", "-t", "doorstep/back-door/status")
