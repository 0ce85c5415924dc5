"""The SQL statements of a reconciliation.

Its tables are temporary: they belong to one connection, are not written to the WAL, and are dropped
when it closes. Arrays go as binary parameters (``%(name)b``), as in ``_ledger_sql``.
"""

_KEY = "integration = %(integration)s AND entity = %(entity)s"

# Rows that were synced to another org do not describe the org that is read back.
_SYNCED = """
(SELECT stored.* FROM m3sync.synced_record AS stored
JOIN m3sync.fingerprint_basis AS basis USING (integration, entity)
WHERE stored.integration = %(integration)s AND stored.entity = %(entity)s
    AND basis.salesforce_org_id = %(salesforce_org_id)s)
"""

BEGIN = """
DROP TABLE IF EXISTS pg_temp.salesforce_record, pg_temp.m3ter_record, pg_temp.difference;
CREATE TEMP TABLE salesforce_record (
    m3ter_id text NOT NULL, salesforce_id text NOT NULL, in_scope boolean,
    flagged boolean NOT NULL, payload bytea NOT NULL, external_id_changed boolean NOT NULL,
    empty text[] NOT NULL);
CREATE TEMP TABLE m3ter_record (
    m3ter_id text PRIMARY KEY, fingerprint bytea NOT NULL, payload bytea NOT NULL,
    filled jsonb NOT NULL);
CREATE TEMP TABLE difference (
    m3ter_id text NOT NULL, salesforce_id text, salesforce_payload bytea, m3ter_payload bytea,
    kind text NOT NULL, pending boolean NOT NULL, was_synced boolean NOT NULL,
    external_id_changed boolean NOT NULL, unfilled jsonb)
"""

NOW = "SELECT clock_timestamp()"

COPY_SALESFORCE = (
    "COPY pg_temp.salesforce_record "
    "(m3ter_id, salesforce_id, in_scope, flagged, payload, external_id_changed, empty) "
    "FROM STDIN (FORMAT BINARY)"
)

ADD_M3TER = f"""
INSERT INTO pg_temp.m3ter_record AS listed (m3ter_id, fingerprint, payload, filled)
SELECT given.m3ter_id, given.fingerprint, given.payload, given.filled::jsonb
FROM unnest(%(ids)b::text[], %(fingerprints)b::bytea[], %(payloads)b::bytea[], %(final)b::bool[],
    %(filled)b::text[]) AS given (m3ter_id, fingerprint, payload, final, filled)
WHERE given.final OR EXISTS (
    SELECT 1 FROM {_SYNCED} AS synced WHERE synced.m3ter_id = given.m3ter_id)
ON CONFLICT (m3ter_id) DO UPDATE SET
    fingerprint = excluded.fingerprint, payload = excluded.payload, filled = excluded.filled
"""

# Autovacuum does not analyze temporary tables.
ANALYZE = "ANALYZE pg_temp.salesforce_record; ANALYZE pg_temp.m3ter_record"

MISSING_IDS = """
SELECT m3ter_id FROM pg_temp.m3ter_record AS m3ter
WHERE payload <> '' AND NOT EXISTS (
    SELECT 1 FROM pg_temp.salesforce_record AS salesforce
    WHERE salesforce.m3ter_id = m3ter.m3ter_id)
ORDER BY m3ter_id
"""

_MISSING_SYNCED = f"""
FROM {_SYNCED} AS synced
JOIN pg_temp.m3ter_record AS m3ter ON m3ter.m3ter_id = synced.m3ter_id AND m3ter.payload <> ''
WHERE NOT EXISTS (
    SELECT 1 FROM pg_temp.salesforce_record AS other WHERE other.m3ter_id = synced.m3ter_id)
"""

MATCH_BY_SALESFORCE_ID = f"""
UPDATE pg_temp.salesforce_record AS salesforce
SET m3ter_id = missing.m3ter_id, external_id_changed = true
FROM (SELECT synced.m3ter_id, synced.salesforce_id {_MISSING_SYNCED}) AS missing
WHERE salesforce.salesforce_id = missing.salesforce_id AND NOT EXISTS (
    SELECT 1 FROM pg_temp.m3ter_record AS other WHERE other.m3ter_id = salesforce.m3ter_id)
"""

MISSING_SALESFORCE_IDS = f"SELECT synced.salesforce_id {_MISSING_SYNCED} ORDER BY synced.m3ter_id"

M3TER_IDS_OF_MISSING = (
    f"SELECT synced.salesforce_id, synced.m3ter_id {_MISSING_SYNCED} "
    "AND synced.salesforce_id = ANY(%(ids)b)"
)

IDS_IN_M3TER = "SELECT m3ter_id FROM pg_temp.m3ter_record WHERE m3ter_id = ANY(%(ids)b)"

REMOVE_SALESFORCE = "DELETE FROM pg_temp.salesforce_record WHERE salesforce_id = ANY(%(ids)b)"

DROP_DIFFERENCES = "TRUNCATE pg_temp.difference"

# A row that was acknowledged after the reading started may be newer than what was read.
COMPARE = f"""
INSERT INTO pg_temp.difference
SELECT coalesce(m3ter.m3ter_id, salesforce.m3ter_id),
    salesforce.salesforce_id, salesforce.payload, m3ter.payload,
    CASE WHEN m3ter.m3ter_id IS NULL AND salesforce.flagged THEN 'flagged'
        WHEN m3ter.m3ter_id IS NULL THEN 'extra'
        WHEN m3ter.payload = '' THEN 'invalid'
        WHEN salesforce.m3ter_id IS NULL THEN 'missing'
        ELSE 'changed' END,
    coalesce(m3ter.payload <> '' AND (synced.m3ter_id IS NULL
        OR synced.fingerprint IS DISTINCT FROM m3ter.fingerprint
        OR synced.synced_at >= %(began)s), false),
    synced.m3ter_id IS NOT NULL, coalesce(salesforce.external_id_changed, false),
    (SELECT jsonb_object_agg(key, value) FROM jsonb_each(m3ter.filled)
        WHERE key = ANY(salesforce.empty))
FROM pg_temp.salesforce_record AS salesforce
FULL JOIN pg_temp.m3ter_record AS m3ter ON salesforce.m3ter_id = m3ter.m3ter_id
LEFT JOIN {_SYNCED} AS synced
    ON synced.m3ter_id = coalesce(m3ter.m3ter_id, salesforce.m3ter_id)
WHERE (salesforce.payload IS DISTINCT FROM m3ter.payload OR m3ter.filled ?| salesforce.empty)
    AND (m3ter.m3ter_id IS NOT NULL
        OR coalesce(salesforce.in_scope, synced.m3ter_id IS NOT NULL))
"""

# Several integrations may write to one object, each from an m3ter organization of its own.
DROP_OTHERS = """
DELETE FROM pg_temp.difference AS found USING m3sync.synced_record AS other
WHERE found.kind IN ('extra', 'flagged') AND NOT found.was_synced
    AND other.entity = %(entity)s AND other.m3ter_id = found.m3ter_id
    AND other.integration <> %(integration)s
"""

COUNT_DIFFERENCES = """
SELECT
    (SELECT count(*) FROM pg_temp.m3ter_record)
        - count(*) FILTER (WHERE kind IN ('missing', 'changed', 'invalid')) AS equal,
    count(*) FILTER (WHERE kind = 'missing') AS missing,
    count(*) FILTER (WHERE kind = 'changed') AS changed,
    count(*) FILTER (WHERE kind = 'extra') AS extra,
    count(*) FILTER (WHERE kind = 'extra' AND was_synced) AS gone,
    count(*) FILTER (WHERE kind = 'flagged') AS flagged,
    count(*) FILTER (WHERE kind = 'invalid') AS invalid,
    count(*) FILTER (WHERE kind IN ('missing', 'changed') AND pending) AS pending
FROM pg_temp.difference
"""

DIFFERENCES = """
SELECT m3ter_id, salesforce_id, kind, pending, salesforce_payload, m3ter_payload, unfilled FROM (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY pending, m3ter_id) AS place
    FROM pg_temp.difference WHERE kind <> 'flagged') AS numbered
WHERE place <= %(most)s ORDER BY kind, place
"""

WITHDRAW_FINGERPRINTS = f"""
UPDATE m3sync.synced_record AS synced SET fingerprint = NULL, digest = NULL
FROM pg_temp.difference AS found
WHERE {_KEY} AND synced.m3ter_id = found.m3ter_id
    AND found.kind IN ('missing', 'changed') AND NOT found.pending AND NOT found.external_id_changed
"""

CHANGED_EXTERNAL_IDS = """
SELECT m3ter_id, salesforce_id FROM pg_temp.difference
WHERE external_id_changed AND m3ter_id > %(after)s ORDER BY m3ter_id LIMIT %(size)s
"""

RECORD_RESTORED = (
    "UPDATE pg_temp.difference SET external_id_changed = false WHERE m3ter_id = ANY(%(ids)b)"
)

COUNT_REPAIRED = f"""
SELECT count(*) FROM m3sync.synced_record AS synced
JOIN pg_temp.difference AS found ON synced.m3ter_id = found.m3ter_id
WHERE {_KEY} AND found.kind IN ('missing', 'changed') AND synced.synced_at >= %(began)s
"""

EXTRA_RECORDS = """
SELECT m3ter_id, salesforce_id FROM pg_temp.difference
WHERE kind = 'extra' AND m3ter_id = ANY(%(ids)b)
"""

DELETED_IN_M3TER = """
SELECT m3ter_id, salesforce_id, salesforce_payload AS payload FROM pg_temp.difference
WHERE kind = 'extra' AND was_synced AND m3ter_id > %(after)s ORDER BY m3ter_id LIMIT %(size)s
"""

DELETE_SYNCED = f"DELETE FROM m3sync.synced_record WHERE {_KEY} AND m3ter_id = ANY(%(ids)b)"

RECORD_REMOVAL = """
INSERT INTO m3sync.removed_record
    (integration, entity, m3ter_id, salesforce_id, action, run_id)
SELECT %(integration)s, %(entity)s, given.m3ter_id, given.salesforce_id, %(action)s, %(run_id)s
FROM unnest(%(ids)b::text[], %(salesforce_ids)b::text[]) AS given (m3ter_id, salesforce_id)
"""

RECORD_SENT = """
INSERT INTO m3sync.sent_change
    (integration, entity, m3ter_id, salesforce_id, run_id, action, answer)
SELECT %(integration)s, %(entity)s, given.m3ter_id, given.salesforce_id, %(run_id)s,
    CASE %(action)s WHEN 'flag' THEN 'flagged' ELSE 'deleted' END, 'accepted'
FROM unnest(%(ids)b::text[], %(salesforce_ids)b::text[]) AS given (m3ter_id, salesforce_id)
"""

HAS_DELETED = f"""
SELECT EXISTS (SELECT 1 FROM m3sync.removed_record WHERE {_KEY} AND action = 'delete')
"""
