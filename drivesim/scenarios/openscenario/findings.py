"""What an import could not take over as it stands: each with its place in the file."""

from __future__ import annotations

from dataclasses import dataclass

LEFT_OUT = "left out"  # no part of the scenario
APPROXIMATED = "approximated"  # played, but not exactly as asked for
POLICY = "left to the policy"  # asks something of the ego, which the policy drives
KINDS = (LEFT_OUT, APPROXIMATED, POLICY)


@dataclass(frozen=True)
class Finding:
    """One element or attribute that is not simply taken over."""

    kind: str  # one of KINDS
    file: str
    line: int
    path: str  # of the element, with names
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind}: {self.path}: {self.text}"


class UnsupportedScenario(UserWarning):
    """A scenario file of which parts are left out or approximated."""
