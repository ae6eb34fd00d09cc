"""What the package carries, on paper: a CycloneDX bill of materials, and Debian's file of copyrights.

Rule 1: it is read from the wheels that are packed, not from a list of what should be.
Rule 2: the same wheels give the same bytes: no clock, no random number.
"""

from __future__ import annotations

import email.message
import email.parser
import hashlib
import json
import sys
import uuid
import zipfile
from pathlib import Path

NOTHING = uuid.UUID(int=0)
MIT = Path(__file__).parent.parent.parent / "LICENSE"


def metadata(wheel: Path) -> email.message.Message:
    """Return the METADATA of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.BytesParser().parsebytes(archive.read(name))


def licence(about: email.message.Message) -> str:
    """Return what a wheel says of its licence, in one line: its expression, its classifiers, or its own words."""
    classified = [line.split(" :: ")[-1] for line in about.get_all("Classifier", []) if line.startswith("License :: ")]
    own = str(about.get("License", "")).strip().partition("\n")[0]
    return str(about.get("License-Expression") or ", ".join(classified) or own or "unknown")


def component(wheel: Path) -> dict[str, object]:
    """Return a wheel as CycloneDX has it."""
    about = metadata(wheel)
    name, version = str(about["Name"]).lower().replace("_", "-"), str(about["Version"])
    return {
        "type": "application" if name == "doorstep" else "library", "bom-ref": wheel.name, "name": name, "version": version,
        "purl": f"pkg:pypi/{name}@{version}?file_name={wheel.name}",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}],
        "licenses": [{"license": {"name": licence(about)}}],
    }


def materials(wheels: list[Path], machine: str) -> dict[str, object]:
    """Return the whole bill: Doorstep, and what it is packed with."""
    found = [component(wheel) for wheel in wheels]
    own = next(one for one in found if one["name"] == "doorstep")
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "serialNumber": uuid.uuid5(NOTHING, json.dumps([machine, *found])).urn,
        "metadata": {"component": own, "properties": [{"name": "debian:architecture", "value": machine}]},
        "components": [one for one in found if one is not own],
        "dependencies": [{"ref": own["bom-ref"], "dependsOn": [one["bom-ref"] for one in found if one is not own]}],
    }


def copyrights(wheels: list[Path]) -> str:
    """Return Debian's copyright file; the licences' own texts lie in the wheels, and beside them once installed."""
    mit = MIT.read_text().split("\n\n", 2)
    text = "\n".join(f" {line}" if line else " ." for line in mit[2].strip().splitlines())
    lines = ["Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/", "Upstream-Name: doorstep", "",
             "Files: *", f"Copyright: {mit[1].removeprefix('Copyright (c) ')}", "License: Expat", text]
    for wheel in wheels:
        about = metadata(wheel)
        if about["Name"] != "doorstep":
            who = about.get("Author") or about.get("Author-email") or about.get("Maintainer-email") or f"the authors of {about['Name']}"
            lines += ["", f"Files: usr/lib/doorstep/wheels/{wheel.name}", f"Copyright: {str(who).partition(chr(10))[0]}",
                      f"License: {about['Name']}", f" {licence(about)}", " ."
                      " The text is in the wheel, below its .dist-info, and in /opt/doorstep once installed."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    folder, machine, target = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    wheels = sorted(folder.glob("*.whl"))
    (target / "sbom.cdx.json").write_text(json.dumps(materials(wheels, machine), indent=1) + "\n")
    (target / "copyright").write_text(copyrights(wheels))
