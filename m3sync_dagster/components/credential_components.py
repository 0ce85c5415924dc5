"""The credential components: they name environment variables, and never contain their values."""

from keyword import iskeyword
from typing import Annotated

import dagster as dg
from pydantic import BaseModel, Field

from m3sync_dagster.components.entity_syncs import STATE
from m3sync_dagster.components.integration import check_name
from m3sync_dagster.components.integration_definitions import source_specs
from m3sync_dagster.components.resources import M3terResource, SalesforceResource
from m3sync_dagster.sync.errors import ConfigurationError

_TAKEN = {STATE, "io_manager"}

# Dagster evaluates a text such as "67.0" as a template, and would make it a number.
_API_VERSION = dg.Resolver(
    lambda context, written: str(context.resolve_value(written, as_type=object)),
    model_field_type=str | float,
    inject_before_resolve=False,
    description="Salesforce API version.",
)


def _attribute(description: str) -> dg.Resolver:
    """An attribute with its text in Dagster's component docs.

    The docs show a description of pydantic's only where the attribute has no default.
    """
    resolver: dg.Resolver = dg.Resolver.default(description=description)
    return resolver


def _check_key(name: str) -> None:
    """Make sure that a credential's name can be the key of its resource.

    Raises:
        ConfigurationError: it cannot.
    """
    check_name(name)
    if name in _TAKEN or iskeyword(name):
        raise ConfigurationError(
            f"{name!r} has another meaning in Dagster or Python",
            "Give the credential another name.",
            ("name",),
        )


class CredentialParams(BaseModel):
    """Parameters of ``dg scaffold defs`` for a credential."""

    name: str | None = Field(
        default=None, description="Name of the credential; left out: the folder's."
    )


class CredentialScaffolder(dg.Scaffolder[CredentialParams]):
    """Writes the ``defs.yaml`` of a new credential."""

    @classmethod
    def get_scaffold_params(cls) -> type[CredentialParams]:
        """The parameters, for ``dg``."""
        return CredentialParams

    def scaffold(self, request: dg.ScaffoldRequest[CredentialParams]) -> None:
        """Write the file."""
        name = request.params.name or request.target_path.name
        dg.scaffold_component(request, {"name": name})


@dg.scaffold_with(CredentialScaffolder)
class M3terCredential(dg.Component, dg.Model, dg.Resolvable):
    """The names of the environment variables with an m3ter organization's credential."""

    name: Annotated[str, _attribute("Unique name of the credential.")]
    organization_id_env: Annotated[
        str, _attribute("Variable with the m3ter organization's id.")
    ] = "M3TER_ORG_ID"
    access_key_id_env: Annotated[
        str, _attribute("Variable with the service user's access key id (API key).")
    ] = "M3TER_API_KEY"
    api_secret_env: Annotated[str, _attribute("Variable with the service user's API secret.")] = (
        "M3TER_API_SECRET"  # noqa: S105 - a variable's name
    )
    base_url_env: Annotated[
        str, _attribute("Variable with m3ter's address; unset: https://api.m3ter.com.")
    ] = "M3TER_BASE_URL"
    requests_per_second: Annotated[
        int, _attribute("Most requests a second of all runs together; m3ter allows 50.")
    ] = 40

    def resource(self) -> M3terResource:
        """The Dagster resource that connects to the organization.

        Raises:
            ConfigurationError: an attribute has an invalid value.
        """
        _check_key(self.name)
        if self.requests_per_second < 1:
            raise ConfigurationError(
                f"requests_per_second is {self.requests_per_second}",
                "Set it to 1 or more; m3ter allows 50.",
                ("requests_per_second",),
            )
        return M3terResource(
            credential=self.name, **self.model_dump(include=set(M3terResource.model_fields))
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - Dagster's signature
        """Build the resource, and the organization's records as external assets."""
        return dg.Definitions(
            assets=source_specs(self.name), resources={self.name: self.resource()}
        )


@dg.scaffold_with(CredentialScaffolder)
class SalesforceCredential(dg.Component, dg.Model, dg.Resolvable):
    """The names of the environment variables with a Salesforce org's credential.

    With ``username_env`` and ``private_key_file_env`` it uses the JWT bearer flow, otherwise the
    client-credentials flow.
    """

    name: Annotated[str, _attribute("Unique name of the credential.")]
    login_url_env: Annotated[str, _attribute("Variable with the org's My Domain address.")] = (
        "SALESFORCE_LOGIN_URL"
    )
    client_id_env: Annotated[
        str, _attribute("Variable with the app's client id (consumer key).")
    ] = "SALESFORCE_CLIENT_ID"
    client_secret_env: Annotated[str, _attribute("Variable with the app's client secret.")] = (
        "SALESFORCE_CLIENT_SECRET"  # noqa: S105 - a variable's name
    )
    username_env: Annotated[
        str | None, _attribute("JWT bearer flow: variable with the user's name.")
    ] = None
    private_key_file_env: Annotated[
        str | None, _attribute("JWT bearer flow: variable with the key file's path.")
    ] = None
    api_version: Annotated[str, _API_VERSION] = "67.0"

    def resource(self) -> SalesforceResource:
        """The Dagster resource that connects to the org.

        Raises:
            ConfigurationError: attributes have invalid values.
        """
        _check_key(self.name)
        if (self.username_env is None) != (self.private_key_file_env is None):
            raise ConfigurationError(
                "the JWT bearer flow needs both username_env and private_key_file_env",
                "Give both, or neither for the client-credentials flow.",
                ("private_key_file_env" if self.private_key_file_env else "username_env",),
            )
        return SalesforceResource(
            credential=self.name, **self.model_dump(include=set(SalesforceResource.model_fields))
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - Dagster's signature
        """Build the resource."""
        return dg.Definitions(resources={self.name: self.resource()})
