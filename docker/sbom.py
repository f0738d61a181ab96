"""What an image contains, as a CycloneDX document: the Python and Debian packages below a folder.

    pip install 'cyclonedx-python-lib[json-validation]'
    python docker/sbom.py ROOT [NAME] > sbom.json

ROOT is where the image is mounted. Nothing in it is run: a list that the image made of itself would prove
less. The document is validated against CycloneDX's own schema before it is printed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from email import message_from_string
from email.message import Message
from importlib.metadata import Distribution, distributions
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL


def main() -> None:
    root = Path(sys.argv[1])
    name = sys.argv[2] if len(sys.argv) > 2 else root.name
    print(document(name, root))


def document(name: str, root: Path) -> str:
    """CycloneDX 1.6 as JSON. Raises SystemExit where it is not valid by the schema."""
    bom = Bom(components=[*_python(root), *_debian(root)])
    bom.metadata.component = Component(name=name, type=ComponentType.CONTAINER, bom_ref=name)
    bom.register_dependency(bom.metadata.component, bom.components)
    text = JsonV1Dot6(bom).output_as_string(indent=1)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SystemExit(f"This is no valid CycloneDX document: {error}.")
    return text


def _python(root: Path) -> Iterator[Component]:
    folders = sorted(root.glob("opt/*/lib/python3.*/site-packages"))
    for found in distributions(path=[str(folder) for folder in folders]):
        name = re.sub(r"[-_.]+", "-", found.name).lower()
        purl = PackageURL("pypi", None, name, found.version)
        yield Component(
            name=name,
            version=found.version,
            purl=purl,
            bom_ref=str(purl),
            licenses=_licences(found),
        )


def _licences(found: Distribution) -> list[License]:
    """What the package itself states: an expression, or else its classifiers, or else a single line."""
    metadata = message_from_string(found.read_text("METADATA") or "")
    if expression := metadata.get("License-Expression"):
        return [LicenseFactory().make_from_string(expression)]
    classifiers = metadata.get_all("Classifier") or []
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")]
    own = metadata.get("License", "").strip()
    if not named and own and len(own.splitlines()) == 1:
        return [LicenseFactory().make_from_string(own)]
    return [LicenseFactory().make_with_name(name) for name in named]


def _debian(root: Path) -> Iterator[Component]:
    release = _release(root)
    for package in _paragraphs((root / "var/lib/dpkg/status").read_text(encoding="utf-8")):
        if not package["Status"].endswith(" installed"):
            continue
        qualifiers = {"arch": package["Architecture"], "distro": release}
        purl = PackageURL("deb", "debian", package["Package"], package["Version"], qualifiers)
        yield Component(
            name=package["Package"],
            version=package["Version"],
            purl=purl,
            bom_ref=str(purl),
        )


def _paragraphs(text: str) -> Iterable[Message]:
    return (message_from_string(paragraph) for paragraph in text.strip().split("\n\n"))


def _release(root: Path) -> str:
    lines = (root / "etc/os-release").read_text(encoding="utf-8").splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return f"debian-{values['VERSION_ID'].strip(chr(34))}"


if __name__ == "__main__":
    main()
