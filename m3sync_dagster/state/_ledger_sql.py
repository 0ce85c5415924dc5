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

# A row goes after the record that it points to, unless that one is there already or not on its way.
_LEVEL = """
AND (staged.sibling IS NULL OR EXISTS (
    SELECT 1 FROM m3sync.synced_record AS held
    WHERE held.integration = %(integration)s AND held.entity = %(entity)s
    AND held.m3ter_id = staged.sibling)
OR NOT EXISTS (
    SELECT 1 FROM m3sync.outgoing_record AS ahead
    WHERE ahead.integration = %(integration)s AND ahead.entity = %(entity)s
    AND ahead.m3ter_id = staged.sibling))
"""
_READY = f"SELECT shape, count(*) FROM m3sync.outgoing_record AS staged WHERE {_KEY} "
_BY_SHAPE = " GROUP BY shape ORDER BY shape"
READY = _READY + _BY_SHAPE
READY_LEVEL = _READY + _LEVEL + _BY_SHAPE

_STAGED = (
    f"SELECT m3ter_id, payload FROM m3sync.outgoing_record AS staged WHERE {_KEY} "
    "AND shape = ANY(%(shapes)s) "
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

_AGAIN = """
ON CONFLICT (integration, entity, m3ter_id) DO UPDATE SET
    class = excluded.class, code = excluded.code, message = excluded.message,
    fields = excluded.fields, run_id = excluded.run_id, fingerprint = excluded.fingerprint,
    attempts = CASE WHEN known.class = excluded.class
        AND known.fingerprint IS NOT DISTINCT FROM excluded.fingerprint
        THEN known.attempts + 1 ELSE 1 END,
    last_seen = clock_timestamp()
"""

# Only a row that is staged was sent; any other refusal of it is on record already.
REJECT_SENT = f"""
INSERT INTO m3sync.rejected_record AS known
    (integration, entity, m3ter_id, fingerprint, class, code, message, fields, run_id)
SELECT integration, entity, m3ter_id, fingerprint, %(class)s, %(code)s, %(message)s, %(fields)s,
    %(run_id)s
FROM m3sync.outgoing_record WHERE {_KEY} AND m3ter_id = %(m3ter_id)s
{_AGAIN}"""

REJECT_UNSENT = f"""
INSERT INTO m3sync.rejected_record AS known
    (integration, entity, m3ter_id, class, code, message, fields, run_id)
VALUES (%(integration)s, %(entity)s, %(m3ter_id)s, %(class)s, %(code)s, %(message)s, %(fields)s,
    %(run_id)s)
{_AGAIN}"""

# What Salesforce refuses for good goes again in the next two runs, and then rests for 2, 4, 8, 16
# and 24 hours; ten minutes less, so that the run of that hour takes it along.
REST = f"""
UPDATE m3sync.rejected_record SET retry_at = CASE WHEN class = 'permanent' AND attempts > 2
    THEN clock_timestamp() - interval '10 minutes'
        + least(interval '1 hour' * power(2, least(attempts - 2, 5)), interval '24 hours') END
WHERE {_KEY} AND m3ter_id = ANY(%(ids)b)
"""

ANY_REST = (
    f"SELECT EXISTS (SELECT 1 FROM m3sync.rejected_record WHERE {_KEY} "
    "AND retry_at > clock_timestamp())"
)

PAUSED = """
UPDATE m3sync.rejected_record AS held SET last_seen = clock_timestamp(), run_id = %(run_id)s
FROM unnest(%(ids)b::text[], %(fingerprints)b::bytea[]) AS seen (m3ter_id, fingerprint)
WHERE held.integration = %(integration)s AND held.entity = %(entity)s
AND held.m3ter_id = seen.m3ter_id AND held.fingerprint = seen.fingerprint
AND held.retry_at > clock_timestamp()
RETURNING held.m3ter_id, held.class, held.code, held.message, held.fields
"""

FORGET = f"DELETE FROM m3sync.rejected_record WHERE {_KEY} AND last_seen < %(started)s"

# A job that is about to be created has no id yet; there is one at a time.
JOB_ANNOUNCED = """
INSERT INTO m3sync.ingest_job (job_id, integration, entity, object, rows, sha256, state, run_id)
VALUES (%(job_id)s, %(integration)s, %(entity)s, %(object)s, %(rows)s, %(sha256)s, 'Announced',
    %(run_id)s)
ON CONFLICT (job_id) DO UPDATE SET object = excluded.object, rows = excluded.rows,
    sha256 = excluded.sha256, run_id = excluded.run_id, opened_at = clock_timestamp()
"""

JOB_UNANNOUNCED = "DELETE FROM m3sync.ingest_job WHERE job_id = %(job_id)s"

JOB_OPENED = """
INSERT INTO m3sync.ingest_job (job_id, integration, entity, object, rows, sha256, run_id)
VALUES (%(job_id)s, %(integration)s, %(entity)s, %(object)s, %(rows)s, %(sha256)s, %(run_id)s)
"""

JOB_ENDED = """
UPDATE m3sync.ingest_job SET state = %(state)s, ended_at = clock_timestamp()
WHERE job_id = %(job_id)s
"""

JOBS_LEFT = (
    f"SELECT job_id, object, opened_at FROM m3sync.ingest_job WHERE {_KEY} "
    "AND ended_at IS NULL ORDER BY opened_at"
)

JOB_STRANGERS = """
SELECT given.job_id FROM unnest(%(job_ids)b::text[]) AS given (job_id)
WHERE NOT EXISTS (SELECT 1 FROM m3sync.ingest_job AS held WHERE held.job_id = given.job_id)
"""
