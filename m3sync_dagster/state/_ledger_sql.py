"""The SQL statements of the ledger.

Arrays are sent as binary parameters (``%(name)b``): as text, every element would be escaped.
"""

from m3sync_dagster.sync.row_results import NO_RECORD

_KEY = "integration = %(integration)s AND entity = %(entity)s"

DELETE_ALL_STAGED = f"DELETE FROM m3sync.outgoing_record WHERE {_KEY}"

BASIS = (
    "SELECT salesforce_org_id, m3ter_org_id, object, external_id_field, "
    "database_identity IS DISTINCT FROM %(database_identity)s "
    f"FROM m3sync.fingerprint_basis WHERE {_KEY}"
)

SET_BASIS = """
INSERT INTO m3sync.fingerprint_basis
    (integration, entity, salesforce_org_id, salesforce_org_name, salesforce_is_sandbox,
    m3ter_org_id, object, external_id_field, database_identity)
VALUES (%(integration)s, %(entity)s, %(salesforce_org_id)s, %(org_name)s, %(is_sandbox)s,
    %(m3ter_org_id)s, %(object)s, %(external_id_field)s, %(database_identity)s)
ON CONFLICT (integration, entity) DO UPDATE SET
    salesforce_org_id = excluded.salesforce_org_id,
    salesforce_org_name = excluded.salesforce_org_name,
    salesforce_is_sandbox = excluded.salesforce_is_sandbox, m3ter_org_id = excluded.m3ter_org_id,
    object = excluded.object, external_id_field = excluded.external_id_field,
    database_identity = excluded.database_identity,
    since = clock_timestamp()
"""

# The Salesforce Id is kept: it shows later whether the record was deleted and created again.
WITHDRAW_ALL = (
    f"UPDATE m3sync.synced_record SET fingerprint = NULL, digest = NULL WHERE {_KEY} "
    "AND fingerprint IS NOT NULL"
)
WITHDRAW = f"{WITHDRAW_ALL} AND m3ter_id = ANY(%(ids)b)"

DELETE_ALL_SYNCED = f"DELETE FROM m3sync.synced_record WHERE {_KEY}"
DELETE_SYNCED = f"{DELETE_ALL_SYNCED} AND m3ter_id = ANY(%(ids)b)"

END_PAUSES = f"UPDATE m3sync.rejected_record SET retry_at = NULL WHERE {_KEY}"

SYNCED_IDS = (
    f"SELECT salesforce_id, m3ter_id FROM m3sync.synced_record WHERE {_KEY} "
    "AND m3ter_id > %(after)s ORDER BY m3ter_id LIMIT %(size)s"
)

HAS_CUT_ROWS = f"SELECT EXISTS (SELECT 1 FROM m3sync.synced_record WHERE {_KEY} AND cut)"

UNKNOWN_DIGESTS = """
SELECT given.place - 1
FROM unnest(%(digests)b::bytea[]) WITH ORDINALITY AS given (digest, place)
WHERE NOT EXISTS (
    SELECT 1 FROM m3sync.synced_record AS synced
    WHERE synced.integration = %(integration)s AND synced.entity = %(entity)s
    AND synced.digest = given.digest)
"""

ACKNOWLEDGED = (
    f"SELECT m3ter_id, fingerprint FROM m3sync.synced_record WHERE {_KEY} "
    "AND m3ter_id = ANY(%(ids)b)"
)

COUNT_IN_SALESFORCE = f"SELECT count(*) FROM m3sync.synced_record WHERE {_KEY}"

SALESFORCE_IDS = (
    f"SELECT m3ter_id, salesforce_id FROM m3sync.synced_record WHERE {_KEY} "
    "AND m3ter_id = ANY(%(ids)b)"
)

CONFIRM = """
UPDATE m3sync.synced_record AS synced SET digest = seen.digest
FROM unnest(%(ids)b::text[], %(fingerprints)b::bytea[], %(digests)b::bytea[])
    AS seen (m3ter_id, fingerprint, digest)
WHERE synced.integration = %(integration)s AND synced.entity = %(entity)s
AND synced.m3ter_id = seen.m3ter_id AND synced.fingerprint = seen.fingerprint
"""

# One statement, so one transaction: no row is staged whose record still has its fingerprint.
STAGE = """
WITH given AS (
    SELECT * FROM unnest(%(ids)b::text[], %(fingerprints)b::bytea[], %(digests)b::bytea[],
        %(group_keys)b::int[], %(parents)b::text[], %(siblings)b::text[], %(payloads)b::bytea[],
        %(pointers)b::text[], %(cuts)b::bool[])
        AS given (m3ter_id, fingerprint, digest, shape, parent, sibling, payload, pointers, cut)
), withdrawn AS (
    UPDATE m3sync.synced_record AS synced SET fingerprint = NULL, digest = NULL FROM given
    WHERE synced.integration = %(integration)s AND synced.entity = %(entity)s
    AND synced.m3ter_id = given.m3ter_id
)
INSERT INTO m3sync.outgoing_record
    (integration, entity, m3ter_id, fingerprint, digest, shape, parent, sibling, payload, parents,
    cut)
SELECT %(integration)s, %(entity)s, m3ter_id, fingerprint, digest, shape, parent, sibling, payload,
    string_to_array(pointers, chr(31)), cut
FROM given
ON CONFLICT (integration, entity, m3ter_id) DO UPDATE SET
    fingerprint = excluded.fingerprint, digest = excluded.digest, shape = excluded.shape,
    parent = excluded.parent, sibling = excluded.sibling, payload = excluded.payload,
    parents = excluded.parents, cut = excluded.cut
"""

# A row is sent after the record of the same type that it points to, if that one is staged too.
_LEVEL = """
AND NOT EXISTS (
    SELECT 1 FROM m3sync.outgoing_record AS earlier
    WHERE earlier.integration = %(integration)s AND earlier.entity = %(entity)s
    AND earlier.m3ter_id = staged.sibling)
"""
_READY = f"SELECT shape, count(*) FROM m3sync.outgoing_record AS staged WHERE {_KEY} "
_BY_SHAPE = " GROUP BY shape ORDER BY shape"
READY = _READY + _BY_SHAPE
READY_LEVEL = _READY + _LEVEL + _BY_SHAPE

_STAGED = (
    f"SELECT m3ter_id, payload FROM m3sync.outgoing_record AS staged WHERE {_KEY} "
    "AND shape = ANY(%(group_keys)s) "
)
STAGED_VALUES = (
    f"SELECT m3ter_id, payload FROM m3sync.outgoing_record WHERE {_KEY} AND m3ter_id = ANY(%(ids)b)"
)
_SORTED = " ORDER BY parent, m3ter_id"
STAGED = _STAGED + _SORTED
STAGED_LEVEL = _STAGED + _LEVEL + _SORTED

# A parent that this run has already sent is not sent again: the result would be the same.
SYNCED_PARENTS = """
SELECT staged.m3ter_id, synced.entity, synced.m3ter_id
FROM m3sync.outgoing_record AS staged
JOIN m3sync.synced_record AS synced ON synced.integration = staged.integration
    AND synced.entity = ANY(%(entities)s) AND synced.m3ter_id = ANY(staged.parents)
WHERE staged.integration = %(integration)s AND staged.entity = %(entity)s
    AND staged.m3ter_id = ANY(%(ids)b)
    AND NOT EXISTS (
        SELECT 1 FROM m3sync.outgoing_record AS earlier
        WHERE earlier.integration = synced.integration AND earlier.entity = synced.entity
        AND earlier.m3ter_id = synced.m3ter_id)
    AND synced.run_id <> %(run_id)s
    AND NOT EXISTS (
        SELECT 1 FROM m3sync.rejected_record AS rejected
        WHERE rejected.integration = synced.integration AND rejected.entity = synced.entity
        AND rejected.m3ter_id = synced.m3ter_id AND rejected.run_id = %(run_id)s)
"""

# A record that points to one that was deleted in Salesforce has an empty lookup there now, in every
# integration that writes to the same org.
_SAME_ORG = """
(synced.integration = %(integration)s OR EXISTS (
    SELECT 1 FROM m3sync.fingerprint_basis AS ours JOIN m3sync.fingerprint_basis AS theirs
        ON theirs.salesforce_org_id = ours.salesforce_org_id
    WHERE ours.integration = %(integration)s AND ours.entity = %(entity)s
    AND theirs.integration = synced.integration AND theirs.entity = synced.entity))
"""

# ``OFFSET 0``, here and below, makes PostgreSQL look up one row after another by the primary key.
# Without it, it may read all staged rows for each batch.
REPLACED = """
SELECT sent.m3ter_id, sent.payload
FROM unnest(%(ids)b::text[], %(salesforce_ids)b::text[]) AS answered (m3ter_id, salesforce_id)
CROSS JOIN LATERAL (
    SELECT m3ter_id FROM m3sync.synced_record
    WHERE integration = %(integration)s AND entity = %(entity)s AND m3ter_id = answered.m3ter_id
    AND left(salesforce_id, 15) <> left(answered.salesforce_id, 15)
    OFFSET 0) AS replaced
CROSS JOIN LATERAL (
    SELECT m3ter_id, payload FROM m3sync.outgoing_record
    WHERE integration = %(integration)s AND entity = %(entity)s AND m3ter_id = replaced.m3ter_id
    OFFSET 0) AS sent
ORDER BY sent.m3ter_id
"""

WITHDRAW_CHILDREN = f"""
UPDATE m3sync.synced_record AS synced SET fingerprint = NULL, digest = NULL
WHERE synced.parents && %(ids)b::text[] AND synced.fingerprint IS NOT NULL AND {_SAME_ORG}
"""

# Another integration has recorded the parent as synced. It must send it again.
WITHDRAW_PARENTS_ELSEWHERE = f"""
UPDATE m3sync.synced_record AS synced SET fingerprint = NULL, digest = NULL
FROM m3sync.outgoing_record AS sent
WHERE sent.integration = %(integration)s AND sent.entity = %(entity)s
AND sent.m3ter_id = ANY(%(ids)b) AND synced.m3ter_id = ANY(sent.parents)
AND synced.integration <> %(integration)s AND synced.fingerprint IS NOT NULL AND {_SAME_ORG}
"""

ACKNOWLEDGE = """
INSERT INTO m3sync.synced_record
    (integration, entity, m3ter_id, fingerprint, digest, parents, cut, salesforce_id, run_id,
    sent_fields, sent_values)
SELECT sent.integration, sent.entity, sent.m3ter_id, sent.fingerprint, sent.digest, sent.parents,
    sent.cut, answered.salesforce_id, %(run_id)s, %(sent_fields)s::int,
    CASE WHEN %(sent_fields)s::int IS NOT NULL THEN sent.payload END
FROM unnest(%(ids)b::text[], %(salesforce_ids)b::text[]) AS answered (m3ter_id, salesforce_id)
CROSS JOIN LATERAL (
    SELECT * FROM m3sync.outgoing_record
    WHERE integration = %(integration)s AND entity = %(entity)s AND m3ter_id = answered.m3ter_id
    OFFSET 0) AS sent
ON CONFLICT (integration, entity, m3ter_id) DO UPDATE SET
    fingerprint = excluded.fingerprint, digest = excluded.digest, parents = excluded.parents,
    cut = excluded.cut, salesforce_id = excluded.salesforce_id, run_id = excluded.run_id,
    sent_fields = excluded.sent_fields, sent_values = excluded.sent_values,
    synced_at = clock_timestamp()
"""

DELETE_STAGED = f"DELETE FROM m3sync.outgoing_record WHERE {_KEY} AND m3ter_id = ANY(%(ids)b)"

DELETE_REJECTS = f"DELETE FROM m3sync.rejected_record WHERE {_KEY} AND m3ter_id = ANY(%(ids)b)"

_ON_REPEATED_REJECT = """
ON CONFLICT (integration, entity, m3ter_id) DO UPDATE SET
    class = excluded.class, code = excluded.code, message = excluded.message,
    fields = excluded.fields, run_id = excluded.run_id, fingerprint = excluded.fingerprint,
    record_name = excluded.record_name, record_code = excluded.record_code,
    refused = excluded.refused,
    attempts = CASE WHEN known.class = excluded.class
        AND known.fingerprint IS NOT DISTINCT FROM excluded.fingerprint
        THEN known.attempts + 1 ELSE 1 END,
    last_seen = clock_timestamp()
"""

# Other results of a row that is no longer staged are recorded already.
REJECT_STAGED = f"""
INSERT INTO m3sync.rejected_record AS known
    (integration, entity, m3ter_id, fingerprint, class, code, message, fields, record_name,
    record_code, refused, run_id)
SELECT integration, entity, m3ter_id, fingerprint, %(class)s, %(code)s, %(message)s, %(fields)s,
    %(record_name)s, %(record_code)s, %(refused)s, %(run_id)s
FROM m3sync.outgoing_record WHERE {_KEY} AND m3ter_id = %(m3ter_id)s
{_ON_REPEATED_REJECT}"""

REJECT_NOT_STAGED = f"""
INSERT INTO m3sync.rejected_record AS known
    (integration, entity, m3ter_id, class, code, message, fields, record_name, record_code,
    refused, run_id)
VALUES (%(integration)s, %(entity)s, %(m3ter_id)s, %(class)s, %(code)s, %(message)s, %(fields)s,
    %(record_name)s, %(record_code)s, %(refused)s, %(run_id)s)
{_ON_REPEATED_REJECT}"""

# A permanently rejected row is sent again in the next two runs, and then pauses for 2, 4, 8, 16 and
# 24 hours; ten minutes less, so that the run of that hour includes it. A row that may only update
# and has no record pauses for at most 4 hours: people create the record in Salesforce.
SET_RETRY_TIME = f"""
UPDATE m3sync.rejected_record
SET retry_at = CASE WHEN (class = 'permanent' OR code = '{NO_RECORD}') AND attempts > 2
    THEN clock_timestamp() - interval '10 minutes'
        + least(interval '1 hour' * power(2, least(attempts - 2, 5)),
            CASE code WHEN '{NO_RECORD}' THEN interval '4 hours' ELSE interval '24 hours' END) END
WHERE {_KEY} AND m3ter_id = ANY(%(ids)b)
"""

PAUSED = """
SELECT rejected.m3ter_id, rejected.class, rejected.code, rejected.message, rejected.fields
FROM m3sync.rejected_record AS rejected
JOIN unnest(%(ids)b::text[], %(fingerprints)b::bytea[]) AS seen (m3ter_id, fingerprint)
    ON rejected.m3ter_id = seen.m3ter_id AND rejected.fingerprint = seen.fingerprint
WHERE rejected.integration = %(integration)s AND rejected.entity = %(entity)s
AND rejected.retry_at > clock_timestamp()
"""

WITHOUT_RECORD = f"""
SELECT m3ter_id FROM m3sync.rejected_record
WHERE integration = %(integration)s AND entity = %(parent_entity)s AND m3ter_id = ANY(%(ids)b)
AND code = '{NO_RECORD}'
AND (entity <> %(entity)s OR retry_at > clock_timestamp())
"""

KEEP_PAUSED = f"""
UPDATE m3sync.rejected_record SET last_seen = clock_timestamp(), run_id = %(run_id)s
WHERE {_KEY} AND m3ter_id = ANY(%(ids)b)
"""

# What this run has read of an earlier run's ingest jobs may be about records that left the scope.
MARK_STALE = f"UPDATE m3sync.rejected_record SET run_id = '' WHERE {_KEY} AND run_id = %(run_id)s"

# By the run and not by the time, because a server's clock may be set back during a run.
DELETE_STALE = (
    f"DELETE FROM m3sync.rejected_record WHERE {_KEY} AND run_id IS DISTINCT FROM %(run_id)s"
)

# A job that is about to be created has no id yet; there is one at a time. A job of another org is
# unfinished until the integration writes to that org again.
_ORG = f"(SELECT salesforce_org_id FROM m3sync.fingerprint_basis WHERE {_KEY})"
JOB_REQUESTED = f"""
INSERT INTO m3sync.ingest_job
    (job_id, integration, entity, object, rows, sha256, state, run_id, salesforce_org_id)
VALUES (%(job_id)s, %(integration)s, %(entity)s, %(object)s, %(rows)s, %(sha256)s, 'Announced',
    %(run_id)s, {_ORG})
ON CONFLICT (job_id) DO UPDATE SET object = excluded.object, rows = excluded.rows,
    sha256 = excluded.sha256, run_id = excluded.run_id, opened_at = clock_timestamp(),
    salesforce_org_id = excluded.salesforce_org_id
"""

JOB_NOT_CREATED = "DELETE FROM m3sync.ingest_job WHERE job_id = %(job_id)s"

JOB_CREATED = f"""
INSERT INTO m3sync.ingest_job
    (job_id, integration, entity, object, rows, sha256, run_id, salesforce_org_id)
VALUES (%(job_id)s, %(integration)s, %(entity)s, %(object)s, %(rows)s, %(sha256)s, %(run_id)s,
    {_ORG})
"""

JOB_FINISHED = """
UPDATE m3sync.ingest_job SET state = %(state)s, ended_at = clock_timestamp()
WHERE job_id = %(job_id)s
"""

# The external ID field of a job's rows is known if the basis has not changed since then.
_EXTERNAL_ID_FIELD = (
    f"(SELECT external_id_field FROM m3sync.fingerprint_basis WHERE {_KEY} "
    "AND since <= ingest_job.opened_at)"
)
JOBS_UNFINISHED = (
    f"SELECT job_id, object, opened_at, {_EXTERNAL_ID_FIELD} FROM m3sync.ingest_job WHERE {_KEY} "
    f"AND ended_at IS NULL AND coalesce(salesforce_org_id = {_ORG}, true) ORDER BY opened_at"
)

JOBS_UNKNOWN = """
SELECT given.job_id FROM unnest(%(job_ids)b::text[]) AS given (job_id)
WHERE NOT EXISTS (SELECT 1 FROM m3sync.ingest_job AS job WHERE job.job_id = given.job_id)
"""

# API names have ASCII letters, and the database's language may be Turkish, where I is not i.
OTHER_JOB_REQUESTED = f"""
SELECT EXISTS (
    SELECT 1 FROM m3sync.ingest_job
    WHERE lower(object COLLATE "C") = lower(%(object)s COLLATE "C")
    AND state = 'Announced' AND job_id <> %(job_id)s
    AND coalesce(salesforce_org_id = {_ORG}, true)
)
"""
