"""What the package carries, on paper: a CycloneDX bill of materials, and Debian's file of copyrights.

Rule 1: it is read from the wheels that are packed, not from a list of what should be.
Rule 2: the same wheels give the same bytes: no clock, no random number.
"""  # noqa: INP001 - a script, and part of no package

from __future__ import annotations

import email
import hashlib
import json
import re
import sys
import uuid
import zipfile
from pathlib import Path

OWN = "doorstep"
APACHE = "On Debian the text of this licence is in /usr/share/common-licenses/Apache-2.0."  # there alone, says Debian
APACHE_BEGINS = re.compile(r"\s*Apache License\s+Version 2\.0")
LICENCES = re.compile(r"[^/]*/(licenses/)?(LICEN[CS]E|COPYING|NOTICE|COPYRIGHT)[^/]*", re.IGNORECASE)
WHO = re.compile(r"^.{0,3}copyright (?:\(c\) |©\s*)?([^.]*\d{4}.*?)\.?$", re.IGNORECASE | re.MULTILINE)


class Wheel:
    """What a wheel says of itself."""

    def __init__(self, path: Path) -> None:
        self.file = path.name
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        with zipfile.ZipFile(path) as archive:
            names = sorted(archive.namelist())
            inside = {name: archive.read(name) for name in names if ".dist-info/" in name}
        papers = sorted((name for name in inside if name.endswith("/METADATA")), key=lambda name: name.count("/"))
        about, *copied = (email.message_from_string(inside[name].decode()) for name in papers)
        self.name, self.version = str(about["Name"]).lower().replace("_", "-"), str(about["Version"])
        texts = [inside[name].decode() for name in inside if LICENCES.fullmatch(name)]
        self.texts = [APACHE if APACHE_BEGINS.match(text) else text for text in texts]
        classified = [line.split(" :: ")[-1] for line in about.get_all("Classifier", []) if line.startswith("License ")]
        words = [about["License-Expression"], ", ".join(classified), about["License"], *self.texts]
        self.licence = next(str(one).strip().partition("\n")[0] for one in words if one)
        bills = [json.loads(inside[name]) for name in inside if "/sboms/" in name and name.endswith(".json")]
        self.inner = [part for bill in bills if bill.get("bomFormat") == "CycloneDX" for part in bill["components"]]
        self.inner += [{"type": "library", "name": one["Name"], "version": one["Version"]} for one in copied]
        self.inner += [{"type": "file", "name": name.rpartition("/")[2]} for name in names if ".libs/" in name]

    def component(self) -> dict[str, object]:
        """Return it as CycloneDX has it, with what it says is compiled or copied into it."""
        found = [{key: part[key] for key in ("type", "name", "version", "purl") if key in part} for part in self.inner]
        inner = [part for place, part in enumerate(found) if part not in found[:place]]  # the schema wants each once
        return {
            "type": "application" if self.name == OWN else "library", "bom-ref": self.file,
            "name": self.name, "version": self.version,
            "purl": f"pkg:pypi/{self.name}@{self.version}?file_name={self.file}",
            "hashes": [{"alg": "SHA-256", "content": self.sha256}],
            "licenses": [{"license": {"name": self.licence}}], **({"components": inner} if inner else {}),
        }

    def paragraph(self) -> str:
        """Return it as Debian's copyright file has it, with the texts that it brings."""
        text = "\n\n".join(self.texts)
        lines = [f" {line.rstrip()}" if line.strip() else " ." for line in text.strip().splitlines()]
        files = "*" if self.name == OWN else f"usr/lib/doorstep/wheels/{self.file}"
        who = "; ".join(WHO.findall(text)) or f"the authors of {self.name}"
        return "\n".join([f"Files: {files}", f"Copyright: {who}", f"License: {self.name}", *lines])


def materials(wheels: list[Wheel], machine: str) -> dict[str, object]:
    """Return the whole bill: Doorstep, and what it is packed with."""
    own, = (wheel.component() for wheel in wheels if wheel.name == OWN)
    others = [wheel.component() for wheel in wheels if wheel.name != OWN]
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([machine, own, others])).urn,
        "metadata": {"component": own, "properties": [{"name": "debian:architecture", "value": machine}]},
        "components": others,
        "dependencies": [{"ref": own["bom-ref"], "dependsOn": [one["bom-ref"] for one in others]}],
    }


if __name__ == "__main__":
    folder, machine, target = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    wheels = [Wheel(path) for path in sorted(folder.glob("*.whl"))]
    head = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: doorstep"
    paragraphs = [wheel.paragraph() for wheel in sorted(wheels, key=lambda wheel: wheel.name != OWN)]
    (target / "sbom.cdx.json").write_text(json.dumps(materials(wheels, machine), indent=1) + "\n")
    (target / "copyright").write_text("\n\n".join([head, *paragraphs]) + "\n")
