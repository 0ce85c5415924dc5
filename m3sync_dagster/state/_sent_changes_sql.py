"""The SQL statements of the history of what was sent.

Arrays are sent as binary parameters (``%(name)b``), as in ``_ledger_sql``.
"""

_KEY = "integration = %(integration)s AND entity = %(entity)s"
FIELDS_ID = f"SELECT id FROM m3sync.sent_fields WHERE {_KEY} AND digest = %(digest)s"

ADD_FIELDS = """
INSERT INTO m3sync.sent_fields (integration, entity, fields, digest)
VALUES (%(integration)s, %(entity)s, %(fields)s, %(digest)s) ON CONFLICT DO NOTHING
"""

STAGED = (
    f"SELECT m3ter_id, payload FROM m3sync.outgoing_record WHERE {_KEY} AND m3ter_id = ANY(%(ids)b)"
)

SET_PAYLOADS = """
UPDATE m3sync.outgoing_record AS sent SET payload = given.payload
FROM unnest(%(ids)b::text[], %(payloads)b::bytea[]) AS given (m3ter_id, payload)
WHERE sent.integration = %(integration)s AND sent.entity = %(entity)s
AND sent.m3ter_id = given.m3ter_id
"""

# LIMIT makes PostgreSQL look up each record by its key, also while the table is not analyzed.
BEFORE = """
SELECT sent.m3ter_id, sent.payload, known.salesforce_id, known.sent_values, known.fields
FROM m3sync.outgoing_record AS sent
LEFT JOIN LATERAL (
    SELECT synced.salesforce_id, synced.sent_values, listed.fields
    FROM m3sync.synced_record AS synced
    LEFT JOIN m3sync.sent_fields AS listed ON listed.id = synced.sent_fields
    WHERE synced.integration = %(integration)s AND synced.entity = %(entity)s
    AND synced.m3ter_id = sent.m3ter_id LIMIT 1) AS known ON true
WHERE sent.integration = %(integration)s AND sent.entity = %(entity)s
AND sent.m3ter_id = ANY(%(ids)b)
"""

# A result whose row is not staged is recorded already.
RECORD = """
INSERT INTO m3sync.sent_change
    (integration, entity, m3ter_id, salesforce_id, run_id, action, answer, changes, masked)
SELECT sent.integration, sent.entity, sent.m3ter_id, given.salesforce_id, %(run_id)s, given.action,
    given.answer, given.changes::jsonb,
    CASE WHEN given.changes IS NOT NULL THEN %(masked)s::text[] END
FROM unnest(%(ids)b::text[], %(salesforce_ids)b::text[], %(actions)b::text[], %(answers)b::text[],
    %(changes)b::text[]) AS given (m3ter_id, salesforce_id, action, answer, changes)
JOIN m3sync.outgoing_record AS sent ON sent.m3ter_id = given.m3ter_id
WHERE sent.integration = %(integration)s AND sent.entity = %(entity)s
"""

WITH_MASKED_FIELDS = f"SELECT id FROM m3sync.sent_fields WHERE {_KEY} AND fields && %(masked)s"
DELETE_VALUES = f"""
UPDATE m3sync.synced_record SET sent_values = NULL, sent_fields = NULL
WHERE {_KEY} AND sent_fields = ANY(%(ids)s)
"""
DELETE_CHANGES = f"""
UPDATE m3sync.sent_change SET changes = changes - %(masked)s::text[],
    masked = ARRAY(
        SELECT DISTINCT unnest(coalesce(masked, '{{}}') || %(masked)s::text[]) ORDER BY 1)
WHERE {_KEY} AND changes ?| %(masked)s::text[]
"""
DELETE_REFUSED = f"""
UPDATE m3sync.rejected_record SET refused = refused - %(masked)s::text[]
WHERE {_KEY} AND refused ?| %(masked)s::text[]
"""
DELETE_FIELDS = f"DELETE FROM m3sync.sent_fields WHERE {_KEY} AND id = ANY(%(ids)s)"
