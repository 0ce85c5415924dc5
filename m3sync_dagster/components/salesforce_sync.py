"""The component ``m3sync_dagster.SalesforceSync``: the YAML of one integration."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import dagster as dg
from pydantic import BaseModel, Field, PrivateAttr, create_model

from m3sync_dagster.components.account_link_config import LinkConfig, account_link
from m3sync_dagster.components.integration import Integration, Notify, current_hour
from m3sync_dagster.components.integration_definitions import build_integration_definitions
from m3sync_dagster.entities import DEFAULT_ENTITIES, ENTITIES, OTHER_NAMES
from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.entity_options import EntityOptions, WhenGone
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.match_and_overwrite import Match, Overwrite


class EntityConfig(dg.Model):
    """The options of one entity type, all optional."""

    object: str | None = Field(
        default=None,
        description="API name of the Salesforce object, if it is not the namespace's.",
    )
    external_id_field: str | None = Field(
        default=None,
        description="API name of the field that holds m3ter's id. It has to be an External ID "
        "and Unique.",
    )
    fields: dict[str, str | None] = Field(
        default_factory=dict,
        description="m3ter field to Salesforce field; adds to and overrides the defaults, and null "
        "leaves a field out. A dot reads a nested object: address.country. A lookup whose "
        "parent is not carried may name the parent's external ID: Account__r.Key__c.",
    )
    custom_field_mappings: dict[str, str] = Field(
        default_factory=dict,
        description="m3ter custom field to Salesforce field.",
    )
    constants: dict[str, str | bool | int | float] = Field(
        default_factory=dict,
        description="Salesforce field to its fixed value on every record.",
    )
    truncate: list[str] = Field(
        default_factory=list,
        description="m3ter fields whose text is cut to the length of the Salesforce field; "
        "otherwise a record with a longer text is invalid.",
    )
    when_gone: Literal["keep", "flag", "delete"] = Field(
        default="keep",
        description="What m3sync verify --repair does with Salesforce records that m3ter no "
        "longer has: keep reports them, flag sets gone_field, delete deletes them.",
    )
    gone_field: str | None = Field(
        default=None,
        description="With when_gone: flag, the API name of the checkbox, date or date-time field "
        "that marks a record as deleted in m3ter.",
    )
    mask: list[str] = Field(
        default_factory=list,
        description="Salesforce fields whose values are not stored in the history of what was sent "
        "and with rejected records.",
    )
    match: Literal["upsert", "update_only"] = Field(
        default="upsert",
        description="upsert creates the records that Salesforce does not have; update_only writes "
        "to existing records alone, and the others wait.",
    )
    overwrite: dict[str, Literal["always", "if_empty"]] = Field(
        default_factory=dict,
        description="Salesforce field to when it is written: always, the default, or if_empty, "
        "which keeps each value that Salesforce has.",
    )
    link: LinkConfig | None = Field(
        default=None,
        description="Accounts: a lookup to the CRM's own record, such as Account.",
    )
    include_unsettled: bool = Field(
        default=False,
        description="Bills: also carry bills that are neither approved nor locked, whose total "
        "may still change; their line items too, if these are carried.",
    )
    account_ids: list[str] | None = Field(
        default=None,
        description="m3ter account ids whose records are carried, instead of the integration's.",
    )
    restricted_account_ids: list[str] = Field(
        default_factory=list,
        description="m3ter account ids whose records are left out, besides the integration's.",
    )


class NotifyConfig(dg.Model):
    """Who is notified of changes of an integration's state, and of how many rejected rows."""

    users: list[str] = Field(default_factory=list, description="m3ter user ids, who get a mail.")
    urls_env: str | None = Field(
        default=None,
        description="Name of an environment variable with URLs of channels, as Apprise writes "
        "them; separate several with spaces.",
    )
    rejected_rows: int | None = Field(
        default=None,
        description="They are told once so many rows are rejected; without this and "
        "rejected_share: of the first one.",
    )
    rejected_share: float | None = Field(
        default=None,
        description="They are told once this share of the records is rejected: 0.05 for 5 %.",
    )


EntitiesConfig = create_model(
    "EntitiesConfig",
    __base__=dg.Model,
    **{
        name: (
            EntityConfig | None,
            Field(
                default=None,
                description=f"Carry {entity.label} records."
                if name == entity.name
                else f"Another name of {entity.name}.",
            ),
        )
        for entity in ENTITIES.values()
        for name in (entity.name, OTHER_NAMES.get(entity.name))
        if name
    },  # type: ignore[call-overload] # mypy does not see that the keys are field names
)
"""The entity types of an integration; one that is named is carried, even without options."""


# Without these two, Dagster would also accept a template string, and report wrong lines in errors.
_ENTITIES_AS_WRITTEN = dg.Resolver(
    lambda _context, entities: entities,
    model_field_type=EntitiesConfig,
    inject_before_resolve=False,
    description="The record types that are carried, each with its options.",
)
_NOTIFY_AS_WRITTEN = dg.Resolver(
    lambda _context, notify: notify,
    model_field_type=NotifyConfig | None,
    inject_before_resolve=False,
    description="Who is notified of all changes of its state, rejected rows included.",
)


def _filled_in(context: dg.ResolutionContext, written: object) -> object:
    """Fill in a template; skips Jinja, which is slow, for a value without one."""
    return context.resolve_value(written, as_type=object) if "{" in str(written) else written


def _attribute(description: str) -> dg.Resolver:
    """An attribute that may be a template, with its text in Dagster's component docs.

    The docs show a description of pydantic's only where the attribute has no default.
    """
    return dg.Resolver(_filled_in, inject_before_resolve=False, description=description)


class SalesforceSyncParams(BaseModel):
    """Parameters of ``dg scaffold defs m3sync_dagster.SalesforceSync``."""

    name: str | None = Field(
        default=None, description="Name of the integration; left out: the folder's."
    )
    m3ter_credential: str = Field(default="m3ter_production", description="m3ter credential.")
    salesforce_credential: str = Field(
        default="salesforce_production", description="Salesforce credential."
    )
    start: str = Field(
        default_factory=current_hour,
        description="First hourly partition, UTC: 2026-01-31-00:00; left out: the present hour.",
    )


class SalesforceSyncScaffolder(dg.Scaffolder[SalesforceSyncParams]):
    """Writes the ``defs.yaml`` of a new integration that carries the default entity types."""

    @classmethod
    def get_scaffold_params(cls) -> type[SalesforceSyncParams]:
        """The parameters, for ``dg``."""
        return SalesforceSyncParams

    def scaffold(self, request: dg.ScaffoldRequest[SalesforceSyncParams]) -> None:
        """Write the file."""
        attributes = request.params.model_dump() | {
            "name": request.params.name or request.target_path.name,
            "namespace": "custom_objects",
            "entities": {name: {} for name in DEFAULT_ENTITIES},
        }
        dg.scaffold_component(request, attributes)


@dg.scaffold_with(SalesforceSyncScaffolder)
class SalesforceSync(dg.Component, dg.Model, dg.Resolvable):
    """Carries an m3ter organization's records into a Salesforce org, every hour.

    Each entity type becomes an hourly partitioned asset. A record is sent only if its values
    differ from those that Salesforce last accepted.
    """

    name: Annotated[str, _attribute("Unique name: lowercase letters, digits and underscores.")]
    m3ter_credential: Annotated[str, _attribute("Name of an M3terCredential.")]
    salesforce_credential: Annotated[
        str | None,
        _attribute("Name of a SalesforceCredential. Without it, it is NOT CONNECTED."),
    ] = None
    namespace: Annotated[
        Literal["custom_objects", "m3ter_connector", "m3ter_connector_testing"],
        _attribute(
            "Which Salesforce objects are written: custom_objects for m3sync's own; "
            "m3ter_connector or m3ter_connector_testing for m3ter's managed package."
        ),
    ] = "m3ter_connector"
    namespace_prefix: Annotated[
        str | None, _attribute("The managed package's prefix in this org.")
    ] = None
    account_ids: Annotated[
        Sequence[str],
        _attribute("m3ter account ids whose records are carried; empty: all accounts."),
    ] = []
    restricted_account_ids: Annotated[
        Sequence[str],
        _attribute("m3ter account ids whose records are left out; wins over account_ids."),
    ] = []
    account_filter: Annotated[
        str | None,
        _attribute(
            "An expression over the fields of an account, such as address.country == US: records "
            "of the accounts that satisfy it are carried, of those that the lists admit."
        ),
    ] = None
    notify_users_if_disabled: Annotated[
        Sequence[str],
        _attribute("m3ter user ids that get an e-mail when the integration is disabled."),
    ] = []
    notify: Annotated[NotifyConfig | None, _NOTIFY_AS_WRITTEN] = None
    minute_of_hour: Annotated[
        int | None,
        dg.Resolver.default(
            description="Minute at which it runs, 0 to 59; left out: 0 to 9, from the name."
        ),
    ] = None
    start: Annotated[str, _attribute("The first hourly partition, UTC: 2026-01-31-00:00.")] = (
        "2026-01-01-00:00"
    )
    entities: Annotated[dg.Model, _ENTITIES_AS_WRITTEN]

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """The text of Dagster's component docs."""
        return dg.ComponentTypeSpec(
            description="Keeps Salesforce's records equal to m3ter's, hourly.",
            tags=["reverse-etl", "m3ter", "salesforce"],
        )

    def integration(self) -> Integration:
        """Check the YAML's values, once.

        Raises:
            ConfigurationError: a value is invalid.
        """
        if self._integration is None:
            self._integration = self._checked()
        return self._integration

    _integration: Integration | None = PrivateAttr(default=None)

    def _checked(self) -> Integration:
        return Integration(
            name=self.name,
            m3ter_credential=self.m3ter_credential,
            salesforce_credential=self.salesforce_credential,
            namespace=self.namespace,
            namespace_prefix=self.namespace_prefix,
            minute_of_hour=self.minute_of_hour,
            start=self.start,
            notify_users_if_disabled=tuple(self.notify_users_if_disabled),
            notify=self._notify(),
            entities=self._options(),
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - Dagster's signature
        """Build the integration's assets, checks and schedule."""
        return build_integration_definitions(self.integration())

    def _notify(self) -> Notify | None:
        if self.notify is None:
            return None
        return Notify(
            users=tuple(self.notify.users),
            urls_env=self.notify.urls_env,
            rejected_rows=self.notify.rejected_rows,
            rejected_share=self.notify.rejected_share,
        )

    @property
    def carried(self) -> list[str]:
        """Names of the entity types that are carried, parents first."""
        return [name for name in ENTITIES if self._written(name)]

    def _options(self) -> Mapping[str, EntityOptions]:
        expression = self.account_filter
        filtered = None if expression is None else AccountExpression(expression)
        return {name: self._entity_options(self._config(name), filtered) for name in self.carried}

    def _written(self, entity: str) -> list[str]:
        """The names of an entity that the YAML uses."""
        names = (entity, OTHER_NAMES.get(entity))
        return [name for name in names if name in self.entities.model_fields_set]

    def _config(self, entity: str) -> EntityConfig:
        first, *others = self._written(entity)
        if others:
            raise ConfigurationError(
                f"{first} and {others[0]} are two names of the same records",
                "Keep one of the two.",
                ("entities", others[0]),
            )
        return getattr(self.entities, first) or EntityConfig()

    def _entity_options(
        self, config: EntityConfig, expression: AccountExpression | None
    ) -> EntityOptions:
        allowed = self.account_ids if config.account_ids is None else config.account_ids
        restricted = {*self.restricted_account_ids, *config.restricted_account_ids}
        return EntityOptions(
            object=config.object,
            external_id_field=config.external_id_field,
            fields=config.fields,
            custom_field_mappings=config.custom_field_mappings,
            constants=config.constants,
            truncate=frozenset(config.truncate),
            include_unsettled=config.include_unsettled,
            scope=AccountFilter(frozenset(allowed), frozenset(restricted), expression),
            when_gone=WhenGone(config.when_gone),
            gone_field=config.gone_field,
            mask=frozenset(config.mask),
            match=Match(config.match),
            overwrite={name: Overwrite(when) for name, when in config.overwrite.items()},
            link=account_link(config.link) if config.link else None,
        )
