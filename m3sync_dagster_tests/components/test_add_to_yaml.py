"""Adding attributes keeps every other character of a ``defs.yaml``."""

import pytest

from m3sync_dagster.components.add_to_yaml import Added, Additions, with_additions
from m3sync_dagster.components.integration_in_file import find_in_files
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster_tests.conftest import DefsFolder

HEAD = "type: m3sync_dagster.SalesforceSync\nattributes:\n  name: acme\n"
OBJECT = {"object": Added("P__A__c", "found")}
FIELDS = {"name": Added("P__N__c"), "code": Added(None, "no field\n of\x07P__A__c")}
ALL: Additions = {
    "namespace_prefix": Added("P", "the package"),
    "entities": Added({"account": Added({**OBJECT, "fields": Added(FIELDS, "Free:\n  P__X__c")})}),
}
SOME: Additions = {"entities": Added({"account": Added(OBJECT)})}
DEEP: Additions = {"entities": Added({"account": Added({"fields": Added(FIELDS)})})}


def changed(defs_folder: DefsFolder, text: str, additions: Additions) -> str:
    path = defs_folder.write("acme", "")
    path.write_bytes(text.encode())
    return with_additions(find_in_files("acme", "the mapping"), additions, "namespace")


CASES = {
    "several lines, with comments": (
        ALL,
        """\
# Sales owns this.
type: m3sync_dagster.SalesforceSync
attributes:
  name: acme
  namespace: m3ter_connector   # the package
  # One line.
  entities:
    # Customers.
    account: {}   # all of them
    # Not yet:
    # contract: {}
  start: 2026-01-01-00:00
""",
        """\
# Sales owns this.
type: m3sync_dagster.SalesforceSync
attributes:
  name: acme
  namespace: m3ter_connector   # the package
  namespace_prefix: P  # the package
  # One line.
  entities:
    # Customers.
    account:   # all of them
      object: P__A__c  # found
      # Free:
      #   P__X__c
      fields:
        name: P__N__c
        code: null  # no field of P__A__c
    # Not yet:
    # contract: {}
  start: 2026-01-01-00:00
""",
    ),
    "four spaces, and fields of the file": (
        DEEP,
        """\
type: m3sync_dagster.SalesforceSync
attributes:
    name: acme
    entities:
        account:
            fields:
                email:  Email__c # ours

            when_gone: keep
        contract: ~
""",
        """\
type: m3sync_dagster.SalesforceSync
attributes:
    name: acme
    entities:
        account:
            fields:
                email:  Email__c # ours
                name: P__N__c
                code: null  # no field of P__A__c

            when_gone: keep
        contract: ~
""",
    ),
    "several documents": (
        SOME,
        """\
type: m3sync_dagster.SalesforceSync
attributes: {name: other, entities: {account: {}}}
---
type: m3sync_dagster.SalesforceSync
attributes:
  name: acme
  entities:
    account:
      when_gone: keep

# The next one.
---
type: m3sync_dagster.SalesforceSync
attributes:
  name: third
  entities: {account: {}}
""",
        """\
type: m3sync_dagster.SalesforceSync
attributes: {name: other, entities: {account: {}}}
---
type: m3sync_dagster.SalesforceSync
attributes:
  name: acme
  entities:
    account:
      when_gone: keep
      object: P__A__c  # found

# The next one.
---
type: m3sync_dagster.SalesforceSync
attributes:
  name: third
  entities: {account: {}}
""",
    ),
    "everything on one line": (
        ALL,
        """\
type: m3sync_dagster.SalesforceSync
attributes: {name: acme, entities: {account: , contract: {}}}
""",
        """\
type: m3sync_dagster.SalesforceSync
attributes: {name: acme, entities: {account: {object: P__A__c, \
fields: {name: P__N__c, code: null}} , contract: {}}, namespace_prefix: P}
""",
    ),
}

ENTITIES = {
    "the last line has no end": (SOME, "account:", "account:\n      object: P__A__c  # found\n"),
    "null": (
        SOME,
        "account: ~ # all\n    contract: {}\n",
        "account: # all\n      object: P__A__c  # found\n    contract: {}\n",
    ),
    "a null of the file": (
        SOME,
        "account:\n      object: ~  # not yet\n      truncate: [a]\n",
        "account:\n      object: P__A__c  # not yet\n      truncate: [a]\n",
    ),
    "a null on one line": (
        SOME,
        "account: {object: , truncate: [a]}\n",
        "account:\n      object: P__A__c  # found\n      truncate: [a]\n",
    ),
    "an entity and its fields on one line": (
        DEEP,
        "account: {fields: { 'email': Email__c }, truncate: [a, b]} # 1\n",
        """\
account: # 1
      fields:
        'email': Email__c
        name: P__N__c
        code: null  # no field of P__A__c
      truncate: [a, b]
""",
    ),
    "braces over several lines": (
        DEEP,
        "account: {fields: {}, # none\n      truncate: [a],\n    }\n",
        "account: {fields: {name: P__N__c, code: null}, # none\n      truncate: [a],\n    }\n",
    ),
    "Windows": (
        SOME,
        "account: {}\r\n",
        "account:\r\n      object: P__A__c  # found\r\n",
    ),
    "a list at the end": (
        SOME,
        "account:\n      truncate:\n      - a\n      - b # c\n\n# The end.\n",
        (
            "account:\n      truncate:\n      - a\n      - b # c\n      object: P__A__c  # found\n"
            "\n# The end.\n"
        ),
    ),
    "an alias in the entity": (
        SOME,
        "contract: {truncate: &cut [a]}\n    account: {truncate: *cut}\n",
        (
            "contract: {truncate: &cut [a]}\n    account:\n      truncate: *cut\n"
            "      object: P__A__c  # found\n"
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_else_changes(defs_folder: DefsFolder, case: str) -> None:
    additions, before, after = CASES[case]
    assert changed(defs_folder, before, additions) == after


@pytest.mark.parametrize("case", ENTITIES)
def test_an_entity_is_added_to_in_its_own_form(defs_folder: DefsFolder, case: str) -> None:
    additions, before, after = ENTITIES[case]
    head = f"{HEAD}  entities:\n    "
    if "\r\n" in before:
        head = head.replace("\n", "\r\n")
    assert changed(defs_folder, head + before, additions) == head + after


def test_entities_on_one_line_get_lines(defs_folder: DefsFolder) -> None:
    before = f"{HEAD}  entities: {{account: , contract: {{}}}}  # all\n"
    after = f"{HEAD}  entities:  # all\n    account:\n      object: P__A__c  # found\n"
    assert changed(defs_folder, before, SOME) == f"{after}    contract: {{}}\n"


def test_a_byte_order_mark_tabs_and_unicode_stay(defs_folder: DefsFolder) -> None:
    head = f'\ufeff{HEAD}  m3ter_credential: "ü漢\t字😀" # 漢\t字\n  entities:\n    account:'
    after = changed(defs_folder, head + " {} #\tü\n", SOME)
    assert after == head + " #\tü\n      object: P__A__c  # found\n"


ANCHORS = {
    "one mapping for two entities": (
        SOME,
        f"{HEAD}  entities:\n    account: &a {{}}\n    contract: *a\n",
    ),
    "an alias of another entity": (
        SOME,
        f"{HEAD}  entities:\n    contract: &c {{}}\n    account: *c\n",
    ),
    "a merged mapping": (
        DEEP,
        f"b: &b\n  fields: {{email: E__c}}\n{HEAD}  entities:\n    account:\n      <<: *b\n",
    ),
}


@pytest.mark.parametrize("case", ANCHORS)
def test_a_form_in_which_more_would_change_is_refused(defs_folder: DefsFolder, case: str) -> None:
    additions, text = ANCHORS[case]
    with pytest.raises(ConfigurationError, match="Add the proposed lines by hand"):
        changed(defs_folder, text, additions)
