"""The statements of a comparison.

Its tables are temporary: they belong to one connection, are written without a log, and are gone
with it. Arrays go as binary parameters (``%(name)b``), as in ``_ledger_sql``.
"""

_KEY = "integration = %(integration)s AND entity = %(entity)s"

# What is stored of another org says nothing of the one that is read back.
_KNOWN = """
(SELECT stored.* FROM m3sync.synced_record AS stored
JOIN m3sync.claim_basis AS basis USING (integration, entity)
WHERE stored.integration = %(integration)s AND stored.entity = %(entity)s
    AND basis.salesforce_org_id = %(salesforce_org_id)s)
"""

BEGIN = """
DROP TABLE IF EXISTS pg_temp.held, pg_temp.wanted, pg_temp.difference;
CREATE TEMP TABLE held (
    m3ter_id text NOT NULL, salesforce_id text NOT NULL, in_scope boolean,
    flagged boolean NOT NULL, payload bytea NOT NULL, displaced boolean NOT NULL);
CREATE TEMP TABLE wanted (
    m3ter_id text PRIMARY KEY, fingerprint bytea NOT NULL, payload bytea NOT NULL);
CREATE TEMP TABLE difference (
    m3ter_id text NOT NULL, salesforce_id text, held bytea, wanted bytea, kind text NOT NULL,
    pending boolean NOT NULL, known boolean NOT NULL, displaced boolean NOT NULL)
"""

NOW = "SELECT clock_timestamp()"

HOLD = (
    "COPY pg_temp.held (m3ter_id, salesforce_id, in_scope, flagged, payload, displaced) "
    "FROM STDIN (FORMAT BINARY)"
)

WANT = f"""
INSERT INTO pg_temp.wanted AS listed (m3ter_id, fingerprint, payload)
SELECT given.m3ter_id, given.fingerprint, given.payload
FROM unnest(%(ids)b::text[], %(fingerprints)b::bytea[], %(payloads)b::bytea[], %(settled)b::bool[])
    AS given (m3ter_id, fingerprint, payload, settled)
WHERE given.settled OR EXISTS (
    SELECT 1 FROM {_KNOWN} AS known WHERE known.m3ter_id = given.m3ter_id)
ON CONFLICT (m3ter_id) DO UPDATE SET
    fingerprint = excluded.fingerprint, payload = excluded.payload
"""

# Autovacuum does not come to temporary tables.
ANALYZE = "ANALYZE pg_temp.held; ANALYZE pg_temp.wanted"

UNHELD = """
SELECT m3ter_id FROM pg_temp.wanted
WHERE payload <> ''
    AND NOT EXISTS (SELECT 1 FROM pg_temp.held WHERE held.m3ter_id = wanted.m3ter_id)
ORDER BY m3ter_id
"""

_LOST = f"""
FROM {_KNOWN} AS known
JOIN pg_temp.wanted ON wanted.m3ter_id = known.m3ter_id AND wanted.payload <> ''
WHERE NOT EXISTS (SELECT 1 FROM pg_temp.held AS there WHERE there.m3ter_id = known.m3ter_id)
"""

DISPLACE = f"""
UPDATE pg_temp.held SET m3ter_id = lost.m3ter_id, displaced = true
FROM (SELECT known.m3ter_id, known.salesforce_id {_LOST}) AS lost
WHERE held.salesforce_id = lost.salesforce_id
    AND NOT EXISTS (SELECT 1 FROM pg_temp.wanted AS other WHERE other.m3ter_id = held.m3ter_id)
"""

LOST = f"SELECT known.salesforce_id {_LOST} ORDER BY known.m3ter_id"

LOST_AMONG = (
    f"SELECT known.salesforce_id, known.m3ter_id {_LOST} AND known.salesforce_id = ANY(%(ids)b)"
)

WANTS = "SELECT m3ter_id FROM pg_temp.wanted WHERE m3ter_id = ANY(%(ids)b)"

LET_GO = "DELETE FROM pg_temp.held WHERE salesforce_id = ANY(%(ids)b)"

DROP_DIFFERENCES = "TRUNCATE pg_temp.difference"

# A row that was acknowledged after we began to read may be newer than what we have read.
COMPARE = f"""
INSERT INTO pg_temp.difference
SELECT coalesce(wanted.m3ter_id, held.m3ter_id), held.salesforce_id, held.payload, wanted.payload,
    CASE WHEN wanted.m3ter_id IS NULL AND held.flagged THEN 'flagged'
        WHEN wanted.m3ter_id IS NULL THEN 'extra'
        WHEN wanted.payload = '' THEN 'invalid'
        WHEN held.m3ter_id IS NULL THEN 'missing'
        ELSE 'changed' END,
    coalesce(wanted.payload <> '' AND (known.m3ter_id IS NULL
        OR known.fingerprint IS DISTINCT FROM wanted.fingerprint
        OR known.synced_at >= %(began)s), false),
    known.m3ter_id IS NOT NULL, coalesce(held.displaced, false)
FROM pg_temp.held FULL JOIN pg_temp.wanted ON held.m3ter_id = wanted.m3ter_id
LEFT JOIN {_KNOWN} AS known
    ON known.m3ter_id = coalesce(wanted.m3ter_id, held.m3ter_id)
WHERE held.payload IS DISTINCT FROM wanted.payload
    AND (wanted.m3ter_id IS NOT NULL OR coalesce(held.in_scope, known.m3ter_id IS NOT NULL))
"""

# Several integrations may write to one object, each from an m3ter organization of its own.
DROP_OTHERS = """
DELETE FROM pg_temp.difference AS found USING m3sync.synced_record AS other
WHERE found.kind IN ('extra', 'flagged') AND NOT found.known
    AND other.entity = %(entity)s AND other.m3ter_id = found.m3ter_id
    AND other.integration <> %(integration)s
"""

TALLY = """
SELECT
    (SELECT count(*) FROM pg_temp.wanted)
        - count(*) FILTER (WHERE kind IN ('missing', 'changed', 'invalid')) AS equal,
    count(*) FILTER (WHERE kind = 'missing') AS missing,
    count(*) FILTER (WHERE kind = 'changed') AS changed,
    count(*) FILTER (WHERE kind = 'extra') AS extra,
    count(*) FILTER (WHERE kind = 'extra' AND known) AS gone,
    count(*) FILTER (WHERE kind = 'flagged') AS flagged,
    count(*) FILTER (WHERE kind = 'invalid') AS invalid,
    count(*) FILTER (WHERE kind IN ('missing', 'changed') AND pending) AS pending
FROM pg_temp.difference
"""

DIFFERENCES = """
SELECT m3ter_id, salesforce_id, kind, pending, held, wanted FROM (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY pending, m3ter_id) AS place
    FROM pg_temp.difference WHERE kind <> 'flagged') AS numbered
WHERE place <= %(most)s ORDER BY kind, place
"""

FORGET = f"""
UPDATE m3sync.synced_record AS known SET fingerprint = NULL, digest = NULL
FROM pg_temp.difference AS found
WHERE {_KEY} AND known.m3ter_id = found.m3ter_id
    AND found.kind IN ('missing', 'changed') AND NOT found.pending AND NOT found.displaced
"""

DISPLACED = """
SELECT m3ter_id, salesforce_id FROM pg_temp.difference
WHERE displaced AND m3ter_id > %(after)s ORDER BY m3ter_id LIMIT %(size)s
"""

REPLACED = "UPDATE pg_temp.difference SET displaced = false WHERE m3ter_id = ANY(%(ids)b)"

MENDED = f"""
SELECT count(*) FROM m3sync.synced_record AS known
JOIN pg_temp.difference AS found ON known.m3ter_id = found.m3ter_id
WHERE {_KEY} AND found.kind IN ('missing', 'changed') AND known.synced_at >= %(began)s
"""

EXTRAS = """
SELECT m3ter_id, salesforce_id FROM pg_temp.difference
WHERE kind = 'extra' AND m3ter_id = ANY(%(ids)b)
"""

GONE = """
SELECT m3ter_id, salesforce_id FROM pg_temp.difference
WHERE kind = 'extra' AND known AND m3ter_id > %(after)s ORDER BY m3ter_id LIMIT %(size)s
"""

FORGET_GONE = f"DELETE FROM m3sync.synced_record WHERE {_KEY} AND m3ter_id = ANY(%(ids)b)"

REMOVED = """
INSERT INTO m3sync.removed_record
    (integration, entity, m3ter_id, salesforce_id, action, run_id)
SELECT %(integration)s, %(entity)s, given.m3ter_id, given.salesforce_id, %(action)s, %(run_id)s
FROM unnest(%(ids)b::text[], %(salesforce_ids)b::text[]) AS given (m3ter_id, salesforce_id)
"""

EVER_DELETED = f"""
SELECT EXISTS (SELECT 1 FROM m3sync.removed_record WHERE {_KEY} AND action = 'delete')
"""
