"""Catalogs that lie beside a scenario file, and references to their entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from drivesim.scenarios.openscenario.document import Element, declared, read_document
from drivesim.scenarios.yaml_tree import ScenarioError

MAX_FILES = 200  # looked through in each folder


@dataclass
class Catalogs:
    """The folders of a file's catalogs; they are read when something refers to them."""

    folders: tuple[Path, ...] = ()
    entries: dict[str, dict[str, Element]] | None = field(default=None, repr=False)

    def entry(self, reference: Element) -> Element | None:
        """The entry that a CatalogReference names, with its parameters assigned; None where it is not at hand."""
        catalog, name = reference.text("catalogName"), reference.text("entryName")
        assigned = {
            item.text("parameterRef").lstrip("$"): item.text("value")
            for group in reference.all("ParameterAssignments")
            for item in group.all("ParameterAssignment")
        }
        found = self._read(reference).get(catalog, {}).get(name)
        return None if found is None else found.with_parameters(_with_defaults(found, assigned))

    def _read(self, reference: Element) -> dict[str, dict[str, Element]]:
        if self.entries is None:
            self.entries = {}
            for folder in self.folders:
                for path in sorted(folder.glob("*.xosc"))[:MAX_FILES] if folder.is_dir() else ():
                    self._add(path, reference)
        return self.entries

    def _add(self, path: Path, reference: Element) -> None:
        try:
            root = read_document(path, record=reference.record)
        except ScenarioError as error:
            reference.find("left out", f"catalog file {path.name} cannot be read ({error})")
            return
        catalog = root.get("Catalog")
        if catalog is not None:
            assert self.entries is not None
            self.entries.setdefault(catalog.name(), {}).update({child.name(): child for child in catalog.children()})


def _with_defaults(entry: Element, assigned: Mapping[str, str]) -> dict[str, str]:
    return {**declared(entry, assigned)}


def catalogs_of(root: Element) -> Catalogs:
    """The catalogs of a scenario file."""
    locations = root.get("CatalogLocations")
    folders = []
    for location in [] if locations is None else list(locations.children()):
        location.record.elements.add(location.node)
        folders.append(root.folder / location.need("Directory").text("path"))
    return Catalogs(tuple(dict.fromkeys(folders)))
