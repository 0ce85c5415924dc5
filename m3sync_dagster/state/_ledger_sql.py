"""The ledger's statements.

Arrays go as binary parameters (``%(name)b``): as text, every element would be escaped.
"""

_KEY = "integration = %(integration)s AND entity = %(entity)s"

NOW = "SELECT clock_timestamp()"

CLEAR = f"DELETE FROM m3sync.outgoing_record WHERE {_KEY}"

UNSEEN = """
SELECT given.place - 1
FROM unnest(%(digests)b::bytea[]) WITH ORDINALITY AS given (digest, place)
WHERE NOT EXISTS (
    SELECT 1 FROM m3sync.synced_record AS held
    WHERE held.integration = %(integration)s AND held.entity = %(entity)s
    AND held.digest = given.digest)
"""

ACKNOWLEDGED = (
    f"SELECT m3ter_id, fingerprint FROM m3sync.synced_record WHERE {_KEY} "
    "AND m3ter_id = ANY(%(ids)b)"
)

NOTE_SAME = """
UPDATE m3sync.synced_record AS held SET digest = seen.digest
FROM unnest(%(ids)b::text[], %(fingerprints)b::bytea[], %(digests)b::bytea[])
    AS seen (m3ter_id, fingerprint, digest)
WHERE held.integration = %(integration)s AND held.entity = %(entity)s
AND held.m3ter_id = seen.m3ter_id AND held.fingerprint = seen.fingerprint
RETURNING held.m3ter_id
"""

STAGE = """
INSERT INTO m3sync.outgoing_record
    (integration, entity, m3ter_id, fingerprint, digest, shape, parent, sibling, payload)
SELECT %(integration)s, %(entity)s, given.*
FROM unnest(%(ids)b::text[], %(fingerprints)b::bytea[], %(digests)b::bytea[],
    %(shapes)b::int[], %(parents)b::text[], %(siblings)b::text[], %(payloads)b::bytea[]) AS given
ON CONFLICT (integration, entity, m3ter_id) DO UPDATE SET
    fingerprint = excluded.fingerprint, digest = excluded.digest, shape = excluded.shape,
    parent = excluded.parent, sibling = excluded.sibling, payload = excluded.payload
"""

# A row goes after the record that it points to, unless that one is not on its way.
_LEVEL = """
AND NOT EXISTS (
    SELECT 1 FROM m3sync.outgoing_record AS ahead
    WHERE ahead.integration = %(integration)s AND ahead.entity = %(entity)s
    AND ahead.m3ter_id = staged.sibling)
"""
_READY = f"SELECT shape, count(*) FROM m3sync.outgoing_record AS staged WHERE {_KEY} "
_FIRST = " GROUP BY shape ORDER BY shape LIMIT 1"
READY = _READY + _FIRST
READY_LEVEL = _READY + _LEVEL + _FIRST

_STAGED = (
    f"SELECT m3ter_id, payload FROM m3sync.outgoing_record AS staged WHERE {_KEY} "
    "AND shape = %(shape)s "
)
_SORTED = " ORDER BY parent, m3ter_id"
STAGED = _STAGED + _SORTED
STAGED_LEVEL = _STAGED + _LEVEL + _SORTED

ACKNOWLEDGE = """
INSERT INTO m3sync.synced_record
    (integration, entity, m3ter_id, fingerprint, digest, salesforce_id, run_id)
SELECT sent.integration, sent.entity, sent.m3ter_id, sent.fingerprint, sent.digest,
    answered.salesforce_id, %(run_id)s
FROM m3sync.outgoing_record AS sent
JOIN unnest(%(ids)b::text[], %(salesforce_ids)b::text[]) AS answered (m3ter_id, salesforce_id)
    ON sent.m3ter_id = answered.m3ter_id
WHERE sent.integration = %(integration)s AND sent.entity = %(entity)s
ON CONFLICT (integration, entity, m3ter_id) DO UPDATE SET
    fingerprint = excluded.fingerprint, digest = excluded.digest,
    salesforce_id = excluded.salesforce_id, run_id = excluded.run_id,
    synced_at = clock_timestamp()
"""

UNSTAGE = f"DELETE FROM m3sync.outgoing_record WHERE {_KEY} AND m3ter_id = ANY(%(ids)b)"

UNREJECT = f"DELETE FROM m3sync.rejected_record WHERE {_KEY} AND m3ter_id = ANY(%(ids)b)"

REJECT = """
INSERT INTO m3sync.rejected_record AS known
    (integration, entity, m3ter_id, class, code, message, fields, run_id)
VALUES (%(integration)s, %(entity)s, %(m3ter_id)s, %(class)s, %(code)s, %(message)s, %(fields)s,
    %(run_id)s)
ON CONFLICT (integration, entity, m3ter_id) DO UPDATE SET
    class = excluded.class, code = excluded.code, message = excluded.message,
    fields = excluded.fields, run_id = excluded.run_id,
    attempts = known.attempts + 1, last_seen = clock_timestamp()
"""

FORGET = f"DELETE FROM m3sync.rejected_record WHERE {_KEY} AND last_seen < %(started)s"

JOB_OPENED = """
INSERT INTO m3sync.ingest_job (job_id, integration, entity, object, rows, sha256, run_id)
VALUES (%(job_id)s, %(integration)s, %(entity)s, %(object)s, %(rows)s, %(sha256)s, %(run_id)s)
"""

JOB_ENDED = """
UPDATE m3sync.ingest_job SET state = %(state)s, ended_at = clock_timestamp()
WHERE job_id = %(job_id)s
"""
