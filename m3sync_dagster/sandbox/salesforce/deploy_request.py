"""A deploy request: its components, the errors found in them, and its ``deployResult``.

Source: Salesforce Metadata API guide, "DeployResult" and "DeployMessage".
"""

from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.dx_source import field_elements


@dataclass(frozen=True, slots=True)
class ComponentFailure:
    """A component that cannot be deployed."""

    kind: str
    name: str
    file: str
    problem: str

    def as_json(self) -> JsonObject:
        """The ``DeployMessage``."""
        return {
            "componentType": self.kind,
            "fullName": self.name,
            "fileName": self.file,
            "problem": self.problem,
            "problemType": "Error",
            "lineNumber": 1,
            "success": False,
        }


@dataclass(slots=True)
class Deploy:
    """One deploy request.

    Args:
        id: its Id.
        options: its ``deployOptions``.
        objects, permission_sets: its components by name.
        failures: the components that cannot be deployed.
        polls: how often a client has asked for its result.
    """

    id: str
    options: JsonObject
    objects: dict[str, ET.Element] = field(default_factory=dict)
    permission_sets: dict[str, ET.Element] = field(default_factory=dict)
    failures: list[ComponentFailure] = field(default_factory=list)
    polls: int = 0

    @property
    def total(self) -> int:
        """The number of components: objects, their fields, permission sets."""
        fields = sum(len(field_elements(root)) for root in self.objects.values())
        return len(self.objects) + fields + len(self.permission_sets)

    @property
    def done(self) -> bool:
        """Whether it has ended, which it does at the second poll."""
        return self.polls > 1

    def as_json(self) -> JsonObject:
        """The ``deployResult``."""
        status = "Failed" if self.failures else "Succeeded"
        return {
            "id": self.id,
            "status": status if self.done else "InProgress" if self.polls else "Pending",
            "done": self.done,
            "success": self.done and not self.failures,
            "checkOnly": bool(self.options.get("checkOnly")),
            "numberComponentsTotal": self.total,
            "numberComponentsDeployed": self.total - len(self.failures) if self.done else 0,
            "numberComponentErrors": len(self.failures) if self.done else 0,
            "details": {
                "componentFailures": [f.as_json() for f in self.failures] if self.done else []
            },
        }
