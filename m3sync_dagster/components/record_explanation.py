"""What is to be said of a record's state, and what to do about it."""

from m3sync_dagster.components.record_lookup import RecordLookup
from m3sync_dagster.salesforce import look_up_code
from m3sync_dagster.sync.record_comparison import State

_NOTHING = "Nothing to do."
_SETTLED: dict[State, tuple[str, str]] = {
    "equal": ("Salesforce's record equals m3ter's", _NOTHING),
    "flagged": ("m3ter no longer has the record, and Salesforce's is marked so", _NOTHING),
    "absent": ("neither m3ter nor Salesforce has the record any more", _NOTHING),
    "not_final": (
        "m3ter may still recalculate the record, so it is not sent yet",
        "Nothing to do: the first run after it is final sends it.",
    ),
    "out_of_scope": (
        "m3ter has the record, and the integration's account lists or account_filter leave it out",
        "To carry it, change account_ids, restricted_account_ids or account_filter.",
    ),
}
"""States whose text depends on nothing else."""


def explain(lookup: RecordLookup, integration: str) -> tuple[str, str]:
    """The state of a record in words, and what to do.

    Args:
        lookup: the record.
        integration: the integration's name.
    """
    state = lookup.compared.state
    if found := _SETTLED.get(state):
        return found
    if state == "extra":
        remedy = (
            f"If it was deleted in m3ter, run m3sync verify {integration} --repair, which does as "
            "when_gone says. Otherwise delete it in Salesforce."
        )
        return "Salesforce has the record, and m3ter has none with this id", remedy
    if rejected := lookup.compared.rejected:
        return (
            f"m3ter's record is invalid: {rejected.message}",
            "Correct the record in m3ter, or the mapping.",
        )
    return _explain_difference(lookup, integration)


def _explain_difference(lookup: RecordLookup, integration: str) -> tuple[str, str]:
    """The text for a record that Salesforce lacks, or has with other values."""
    missing = lookup.compared.state == "missing"
    where = "Salesforce does not have the record" if missing else "Salesforce has other values"
    if lookup.acknowledged:
        edit = "was deleted" if missing else "was changed"
        return (
            f"{where}: it {edit} in Salesforce after the last sync",
            f"Run m3sync verify {integration} --repair, which sends it again.",
        )
    if reject := lookup.reject:
        verb = "waits for a record" if reject.error_class == "dependency" else "was rejected"
        return (
            f"{where}: its row {verb} ({reject.code}: {reject.message})",
            look_up_code(reject.code, reject.message).remedy,
        )
    return (
        f"{where}: no run has sent what m3ter has now",
        f"Wait for the next run, or run m3sync run {integration}.",
    )
