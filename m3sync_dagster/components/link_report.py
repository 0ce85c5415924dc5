"""What a run reports of the accounts without a link to a record of the CRM."""

from m3sync_dagster.sync.account_link_types import AccountLink, LinkBy, LinkCounts, LinkOutcome
from m3sync_dagster.sync.errors import MissingLinkError

_REMEDIES = {
    LinkBy.EXTERNAL_MAPPING: (
        "In m3ter, give each account one External Mapping: External System Salesforce, the Id of "
        "its {object} as External ID; delete the wrong ones of an account with several."
    ),
    LinkBy.CUSTOM_FIELD: (
        "In m3ter, write the Id of its {object} into the custom field {name} of each account."
    ),
    LinkBy.CODE: (
        "Give the {object} in Salesforce the account's code in {name}, exactly and only once; then "
        "change the account in m3ter or run m3sync run with --full, so that it is looked up again."
    ),
}
_REASONS = {
    (LinkBy.EXTERNAL_MAPPING, LinkOutcome.NONE): "no external mapping to Salesforce",
    (LinkBy.EXTERNAL_MAPPING, LinkOutcome.AMBIGUOUS): "external mappings to several records",
    (LinkBy.EXTERNAL_MAPPING, LinkOutcome.MALFORMED): (
        "an external mapping that is not the Id of a record of {object}"
    ),
    (LinkBy.CUSTOM_FIELD, LinkOutcome.NONE): "no value in the custom field {name}",
    (LinkBy.CUSTOM_FIELD, LinkOutcome.MALFORMED): (
        "a custom field {name} that is not the Id of a record of {object}"
    ),
    (LinkBy.CODE, LinkOutcome.NONE): "no {object} with their code in {name}",
    (LinkBy.CODE, LinkOutcome.AMBIGUOUS): "several records of {object} with their code in {name}",
}


def missing_links(link: AccountLink, links: LinkCounts) -> MissingLinkError | None:
    """The event that names the accounts without a link; ``None`` if every account has one."""
    if not links.without_link:
        return None
    reasons = "; ".join(
        f"{_REASONS[link.by, outcome].format(object=link.object, name=link.name)} "
        f"({links.counts[outcome]}): {_names(links, outcome)}"
        for outcome in LinkOutcome
        if outcome is not LinkOutcome.MATCHED and links.counts[outcome]
    )
    looked_up = " that were looked up" if link.by is LinkBy.CODE else ""
    cause = (
        f"{links.without_link} of {links.counts.total()} accounts{looked_up} have no link to the "
        f"{link.object} in Salesforce, and {link.field} is empty: {reasons}"
    )
    remedy = _REMEDIES[link.by].format(object=link.object, name=link.name)
    return MissingLinkError(cause, f"{remedy} The accounts themselves are sent.")


def _names(links: LinkCounts, outcome: LinkOutcome) -> str:
    names = links.examples[outcome]
    more = links.counts[outcome] - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
