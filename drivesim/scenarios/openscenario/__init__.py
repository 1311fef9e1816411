"""Import of ASAM OpenSCENARIO XML 1.x: scenario files of other simulators as scenarios of a town."""

from drivesim.scenarios.openscenario.convert import Imported, ImportSettings, import_openscenario
from drivesim.scenarios.openscenario.findings import Finding, UnsupportedScenario

__all__ = ["Finding", "ImportSettings", "Imported", "UnsupportedScenario", "import_openscenario"]
