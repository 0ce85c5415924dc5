"""The SQL statements of the matches of staged rows.

The table is temporary, as those of a reconciliation are. Arrays go as binary parameters
(``%(name)b``), as in ``_ledger_sql``.
"""

# A run syncs a parent entity again while its child is being sent, so the table has both.
CREATE = """
CREATE TEMP TABLE IF NOT EXISTS matched_record (
    integration text, entity text, m3ter_id text, salesforce_id text,
    PRIMARY KEY (integration, entity, m3ter_id))
"""
_KEY = "integration = %(integration)s AND entity = %(entity)s"
FORGET = f"DELETE FROM pg_temp.matched_record WHERE {_KEY}"
ANALYZE = "ANALYZE pg_temp.matched_record"

_UNMATCHED = f"""
FROM m3sync.outgoing_record AS staged WHERE {_KEY} AND NOT EXISTS (
    SELECT 1 FROM pg_temp.matched_record AS matched
    WHERE matched.integration = staged.integration AND matched.entity = staged.entity
    AND matched.m3ter_id = staged.m3ter_id)
"""
COUNT_UNMATCHED = f"SELECT count(*) {_UNMATCHED}"
UNMATCHED = f"""
SELECT unmatched.m3ter_id, synced.salesforce_id
FROM (SELECT integration, entity, m3ter_id {_UNMATCHED}) AS unmatched
LEFT JOIN m3sync.synced_record AS synced USING (integration, entity, m3ter_id)
"""

# ``OFFSET 0`` as in ``_ledger_sql``: the table of staged rows may not be analyzed yet.
ADD = """
INSERT INTO pg_temp.matched_record (integration, entity, m3ter_id, salesforce_id)
SELECT %(integration)s, %(entity)s, found.m3ter_id, found.salesforce_id
FROM unnest(%(ids)b::text[], %(salesforce_ids)b::text[]) AS found (m3ter_id, salesforce_id)
CROSS JOIN LATERAL (
    SELECT 1 FROM m3sync.outgoing_record
    WHERE integration = %(integration)s AND entity = %(entity)s AND m3ter_id = found.m3ter_id
    OFFSET 0) AS staged
ON CONFLICT (integration, entity, m3ter_id) DO UPDATE SET
    salesforce_id = excluded.salesforce_id
"""
FINISH = f"""
INSERT INTO pg_temp.matched_record (integration, entity, m3ter_id)
SELECT integration, entity, m3ter_id {_UNMATCHED}
"""
WITHOUT_RECORD = """
SELECT staged.m3ter_id
FROM pg_temp.matched_record AS matched
JOIN m3sync.outgoing_record AS staged USING (integration, entity, m3ter_id)
WHERE matched.integration = %(integration)s AND matched.entity = %(entity)s
AND matched.salesforce_id IS NULL AND matched.m3ter_id > %(after)s
ORDER BY matched.m3ter_id LIMIT %(size)s
"""
MATCHES = f"""
SELECT m3ter_id, salesforce_id FROM pg_temp.matched_record
WHERE {_KEY} AND m3ter_id = ANY(%(ids)b)
"""
