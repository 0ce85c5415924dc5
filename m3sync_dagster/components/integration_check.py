"""Checks integrations: configuration, both connections, and the org's fields against the mapping.

Integrations that share a credential share one login and one answer of its system.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Self

from m3sync_dagster.components.integration import Integration, UnknownPrefixError
from m3sync_dagster.components.load_errors import LoadError, locate
from m3sync_dagster.components.loaded_integration import LoadedIntegration, with_file_position
from m3sync_dagster.components.org_name_and_kind import read_org_name_and_kind
from m3sync_dagster.components.propose_mapping_yaml import Proposal, propose_mapping
from m3sync_dagster.components.resources import M3terResource, SalesforceResource
from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.state import SalesforceOrg
from m3sync_dagster.sync.errors import ConfigurationError, SyncError
from m3sync_dagster.sync.preflight_schema import Preflight
from m3sync_dagster.sync.schema_findings import SchemaFinding

CONFIGURATION = "configuration"
NAMESPACE = "namespace"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check of one integration.

    Args:
        integration: its name.
        check: ``configuration``, ``m3ter``, ``salesforce``, the name of an entity, ``namespace``
            for a proposal, or ``write`` for the file.
        message: the result in words, where there is no error.
        error: what is wrong; ``None`` if nothing is.
        warning: whether the message is a warning.
        proposal: a mapping for the integration's file.
        org: the Salesforce org that was read.
    """

    integration: str
    check: str
    message: str
    error: SyncError | None = None
    warning: bool = False
    proposal: Proposal | None = None
    org: SalesforceOrg | None = None

    def as_dict(self) -> dict[str, object]:
        """The result as JSON has it."""
        result = {
            "integration": self.integration,
            "check": self.check,
            "ok": self.error is None,
            "message": self.error.cause if self.error else self.message,
            "remedy": self.error.remedy if self.error else None,
        }
        org = {"salesforce_org": self.org.as_dict()} if self.org else {}
        return result | org | ({"proposal": self.proposal.yaml} if self.proposal else {})

    @property
    def verdict(self) -> str:
        """One word for a table."""
        return "problem" if self.error else "warning" if self.warning else "OK"


def invalid_file(problem: LoadError) -> CheckResult:
    """The result for an integration whose file is invalid."""
    error = ConfigurationError(problem.message, "Correct the file.")
    return CheckResult(problem.name, CONFIGURATION, "", error)


@dataclass
class OrgCheck:
    """Checks integrations; those that share a credential use it once."""

    _answers: dict[str, str | SyncError] = field(default_factory=dict)
    _clients: dict[str, SalesforceClient] = field(default_factory=dict)
    _orgs: dict[str, SalesforceOrg] = field(default_factory=dict)
    _opened: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def check(self, loaded: LoadedIntegration) -> Iterator[CheckResult]:
        """Check one integration: its configuration, its systems, then each entity's fields."""
        integration = loaded.integration
        configuration = _result(loaded, CONFIGURATION, lambda: _check_configuration(loaded))
        yield configuration
        yield _result(loaded, "m3ter", lambda: self._check_m3ter(loaded))
        if not integration.connected:
            return
        salesforce = _result(loaded, "salesforce", lambda: self._check_salesforce(loaded))
        yield replace(salesforce, org=self._orgs.get(str(integration.salesforce_credential)))
        if salesforce.error:
            return
        if not integration.prefix_known:
            yield from self._propose(loaded)
        elif not configuration.error:
            yield from self._check_schema(loaded)

    def _check_m3ter(self, loaded: LoadedIntegration) -> str:
        resource = loaded.m3ter()
        return self._once(resource.credential, lambda: self._log_in_to_m3ter(resource))

    def _log_in_to_m3ter(self, resource: M3terResource) -> str:
        self._opened.enter_context(resource.opened()).organization.check()
        return f"m3ter accepts the credential {resource.credential}"

    def _check_salesforce(self, loaded: LoadedIntegration) -> str:
        resource = loaded.salesforce()
        return self._once(resource.credential, lambda: self._log_in_to_salesforce(resource))

    def _log_in_to_salesforce(self, resource: SalesforceResource) -> str:
        client = self._opened.enter_context(resource.opened()).org
        self._clients[resource.credential] = client
        client.log_in()
        org = self._orgs[resource.credential] = read_org_name_and_kind(client)
        return (
            f"Salesforce accepts the credential {resource.credential}. The org is {org}; "
            f"{_calls_left(client)}"
        )

    def _once(self, credential: str, ask: Callable[[], str]) -> str:
        if credential not in self._answers:
            try:
                self._answers[credential] = ask()
            except SyncError as error:
                self._answers[credential] = error
        answer = self._answers[credential]
        if isinstance(answer, SyncError):
            raise answer
        return answer

    def _check_schema(self, loaded: LoadedIntegration) -> Iterator[CheckResult]:
        """Compare each mapping with the org; propose another if a package's fields are missing."""
        integration = loaded.integration
        mappings, blocked = integration.mappings, False
        try:
            report = Preflight(mappings, self._client(loaded)).check_all()
        except SyncError as error:
            yield CheckResult(integration.name, "salesforce", "", error)
            return
        for entity, findings in report.items():
            if not findings:
                columns = len(mappings[entity].columns) + 1
                message = f"{mappings[entity].object_name} has all {columns} fields"
                yield CheckResult(integration.name, entity, message)
            yield from (_schema_result(loaded, finding) for finding in findings)
            blocked = blocked or any(finding.blocks for finding in findings)
        if blocked and (integration.namespace != "custom_objects" or _names_objects(integration)):
            yield from self._propose(loaded)

    def _propose(self, loaded: LoadedIntegration) -> Iterator[CheckResult]:
        """Propose a mapping; nothing if the file has all of it already."""
        integration, name = loaded.integration, loaded.integration.name
        try:
            proposal = with_file_position(
                loaded.path, name, lambda: propose_mapping(loaded, self._client(loaded))
            )
        except SyncError as error:
            yield CheckResult(name, NAMESPACE, "", error)
            return
        if not (proposal.additions or proposal.undecided):
            return
        what = _of_what(integration)
        cause = "; it says ".join(
            [f"{loaded.path} has to name the objects and fields {what} in this org", *proposal.kept]
        )
        remedy = (
            f"Review the proposed mapping. To write it into the file, run: m3sync check {name} "
            f"--write. Or paste it there in place of {proposal.replaced}."
            if proposal.additions
            else "Name in the file what the proposed mapping leaves open."
        )
        needed = ConfigurationError(cause, remedy)
        yield CheckResult(name, NAMESPACE, "", needed, proposal=proposal)

    def _client(self, loaded: LoadedIntegration) -> SalesforceClient:
        return self._clients[str(loaded.integration.salesforce_credential)]


def _result(loaded: LoadedIntegration, check: str, act: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(loaded.integration.name, check, act())
    except SyncError as error:
        return CheckResult(loaded.integration.name, check, "", error)


def _schema_result(loaded: LoadedIntegration, finding: SchemaFinding) -> CheckResult:
    name = loaded.integration.name
    cause = f"{locate(loaded.path, name, finding.where)}: {finding.cause}"
    if not finding.blocks:
        return CheckResult(name, finding.entity, f"{cause}. {finding.remedy}", warning=True)
    return CheckResult(name, finding.entity, "", ConfigurationError(cause, finding.remedy))


def _calls_left(client: SalesforceClient) -> str:
    """How many API calls are left today, if this user may read that.

    A user without View Setup and Configuration may not read an org's limits, and does not need to.
    """
    try:
        daily = client.limits().get("DailyApiRequests", {})
    except ConfigurationError:
        return "this user may not see how many API calls are left"
    return f"{daily.get('Remaining')} of {daily.get('Max')} API calls of the day are left"


def _of_what(integration: Integration) -> str:
    if integration.namespace == "custom_objects":
        names = [own.object for own in integration.entities.values() if own.object]
        return f"of {', '.join(names)}"
    return f"of the namespace {integration.namespace}"


def _names_objects(integration: Integration) -> bool:
    """Whether the file itself names an object, such as Account."""
    return any(own.object for own in integration.entities.values())


def _check_configuration(loaded: LoadedIntegration) -> str:
    try:
        loaded.require_usable()
    except UnknownPrefixError as error:
        # Its own remedy is to run this check.
        raise error.with_remedy(
            "Use the mapping that this check proposes once it has logged in to Salesforce. Or set "
            "namespace_prefix to the one that Salesforce's Setup shows under Installed Packages, "
            "or use namespace: custom_objects."
        ) from None
    return f"{loaded.path} is valid"
