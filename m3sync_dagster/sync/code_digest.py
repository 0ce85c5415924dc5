"""A digest of our code that turns a record into a row."""

from importlib.resources import files

import msgspec
import xxhash


def _code_digest() -> int:
    """A digest of the source text of all modules that turn a record into a row.

    A corrected converter can change the rows of the same records, so all are mapped again.
    """
    package = files("m3sync_dagster")
    sources = [one for one in package.joinpath("entities").iterdir() if one.name.endswith(".py")]
    names = (
        "account_filter",
        "converters",
        "convert_by_field_type",
        "undecodable_json",
        "mapping",
        "account_links",
        "external_mappings",
        "salesforce_ids",
        "parents_in_scope",
        "record_decoder",
        "record_fields",
        "row_reader",
        "row_validation",
    )
    sources += [package.joinpath("sync", f"{name}.py") for name in names]
    texts = sorted((one.name, one.read_bytes()) for one in sources)
    return xxhash.xxh3_64_intdigest(msgspec.json.encode(texts))


CODE_DIGEST = _code_digest()
"""The digest, which is part of every mapping's ``seed``."""
