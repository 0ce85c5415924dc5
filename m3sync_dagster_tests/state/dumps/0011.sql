SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA m3sync;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE m3sync.absent_integration (
    integration text NOT NULL,
    absent_since timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
COMMENT ON TABLE m3sync.absent_integration IS 'Integrations that have state here and are in no defs.yaml.';
COMMENT ON COLUMN m3sync.absent_integration.absent_since IS 'when a purge first found it in no defs.yaml';
CREATE TABLE m3sync.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE m3sync.credential_login (
    credential text NOT NULL,
    identity text NOT NULL,
    succeeded_at timestamp with time zone,
    organization_id text,
    instance_url text,
    failed_at timestamp with time zone,
    error text
);
COMMENT ON TABLE m3sync.credential_login IS 'The last login with each m3ter and Salesforce credential.';
COMMENT ON COLUMN m3sync.credential_login.identity IS 'digest of address and user';
COMMENT ON COLUMN m3sync.credential_login.organization_id IS 'the organization of that login';
COMMENT ON COLUMN m3sync.credential_login.instance_url IS 'where Salesforce shows its records';
COMMENT ON COLUMN m3sync.credential_login.failed_at IS 'empty if the last login succeeded';
CREATE TABLE m3sync.describe_cache (
    asked_by text NOT NULL,
    object text NOT NULL,
    body bytea NOT NULL,
    last_modified text NOT NULL,
    read_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
COMMENT ON TABLE m3sync.describe_cache IS 'Describes of Salesforce objects as they were last read.';
COMMENT ON COLUMN m3sync.describe_cache.asked_by IS 'digest of org, app and user';
COMMENT ON COLUMN m3sync.describe_cache.body IS 'the describe''s JSON';
COMMENT ON COLUMN m3sync.describe_cache.last_modified IS 'for If-Modified-Since';
COMMENT ON COLUMN m3sync.describe_cache.read_at IS 'when it was last used, to the day';
CREATE TABLE m3sync.entity_sync (
    integration text NOT NULL,
    entity text NOT NULL,
    run_id text NOT NULL,
    ended_at timestamp with time zone NOT NULL,
    read bigint,
    rejected bigint
);
COMMENT ON TABLE m3sync.entity_sync IS 'The last complete sync of each entity.';
COMMENT ON COLUMN m3sync.entity_sync.read IS 'records that the sync read';
COMMENT ON COLUMN m3sync.entity_sync.rejected IS 'those of them invalid or rejected';
CREATE TABLE m3sync.failed_address_lookup (
    credential text NOT NULL,
    failed_at timestamp with time zone NOT NULL,
    error text NOT NULL
);
COMMENT ON TABLE m3sync.failed_address_lookup IS 'm3ter credentials whose last look-up of users failed.';
COMMENT ON COLUMN m3sync.failed_address_lookup.credential IS 'the m3ter credential';
CREATE TABLE m3sync.fingerprint_basis (
    integration text NOT NULL,
    entity text NOT NULL,
    salesforce_org_id text NOT NULL,
    salesforce_org_name text,
    salesforce_is_sandbox boolean,
    m3ter_org_id text NOT NULL,
    object text NOT NULL,
    external_id_field text NOT NULL,
    since timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    database_identity text
);
COMMENT ON TABLE m3sync.fingerprint_basis IS 'Where the acknowledged records of an integration''s entity are.';
COMMENT ON COLUMN m3sync.fingerprint_basis.salesforce_org_name IS 'as the org said it last';
COMMENT ON COLUMN m3sync.fingerprint_basis.salesforce_is_sandbox IS 'as above';
COMMENT ON COLUMN m3sync.fingerprint_basis.database_identity IS 'changes when a backup is restored';
CREATE TABLE m3sync.ingest_job (
    job_id text NOT NULL,
    integration text NOT NULL,
    entity text NOT NULL,
    object text NOT NULL,
    rows integer NOT NULL,
    sha256 text NOT NULL,
    state text DEFAULT 'Open'::text NOT NULL,
    run_id text NOT NULL,
    opened_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    salesforce_org_id text
);
COMMENT ON TABLE m3sync.ingest_job IS 'Bulk API 2.0 ingest jobs.';
COMMENT ON COLUMN m3sync.ingest_job.sha256 IS 'of the CSV file';
COMMENT ON COLUMN m3sync.ingest_job.ended_at IS 'when all results were on record';
COMMENT ON COLUMN m3sync.ingest_job.salesforce_org_id IS 'the org that the job is in';
CREATE TABLE m3sync.integration_event (
    id bigint NOT NULL,
    name text NOT NULL,
    "time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    integration text NOT NULL,
    entity text,
    run_id text,
    message text NOT NULL,
    remedy text NOT NULL,
    actioned timestamp with time zone,
    closed timestamp with time zone,
    lasting boolean DEFAULT false NOT NULL
);
COMMENT ON TABLE m3sync.integration_event IS 'What went wrong, one row for each cause and run.';
COMMENT ON COLUMN m3sync.integration_event.actioned IS 'when somebody marked it as dealt with';
COMMENT ON COLUMN m3sync.integration_event.closed IS 'when the integration had recovered from it';
COMMENT ON COLUMN m3sync.integration_event.lasting IS 'whether only a person closes it';
ALTER TABLE m3sync.integration_event ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME m3sync.integration_event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE m3sync.integration_state (
    integration text NOT NULL,
    schedule_started double precision,
    count_from double precision CONSTRAINT integration_state_counted_after_not_null NOT NULL,
    notified_level integer CONSTRAINT integration_state_told_not_null NOT NULL,
    notified_at double precision,
    disabled_since timestamp with time zone,
    disabled_reason text,
    guard_error text,
    late_since double precision,
    rejects_since double precision
);
COMMENT ON TABLE m3sync.integration_state IS 'What the guard knows of each integration.';
COMMENT ON COLUMN m3sync.integration_state.schedule_started IS 'start of the schedule last seen';
COMMENT ON COLUMN m3sync.integration_state.count_from IS 'Unix time; runs that ended up to then do not count';
COMMENT ON COLUMN m3sync.integration_state.notified_level IS 'failures in a row of the last notification';
COMMENT ON COLUMN m3sync.integration_state.notified_at IS 'Unix time at which the last run of that notification ended';
COMMENT ON COLUMN m3sync.integration_state.guard_error IS 'why the guard could not evaluate it';
COMMENT ON COLUMN m3sync.integration_state.late_since IS 'Unix time; people were notified of it';
COMMENT ON COLUMN m3sync.integration_state.rejects_since IS 'Unix time; people were notified of the rejects';
CREATE TABLE m3sync.notice (
    id bigint NOT NULL,
    change text NOT NULL,
    target text NOT NULL,
    integration text NOT NULL,
    content jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    attempted_at timestamp with time zone,
    error text,
    handed_over_at timestamp with time zone,
    confirmed_at timestamp with time zone,
    digest text,
    withdrawn_at timestamp with time zone
);
COMMENT ON TABLE m3sync.notice IS 'Messages about changes of state: one row for each change and receiver.';
COMMENT ON COLUMN m3sync.notice.change IS 'the change of state, by its run';
COMMENT ON COLUMN m3sync.notice.target IS 'who or what is told';
COMMENT ON COLUMN m3sync.notice.error IS 'why the last attempt failed';
COMMENT ON COLUMN m3sync.notice.handed_over_at IS 'from here on it is not sent again';
COMMENT ON COLUMN m3sync.notice.confirmed_at IS 'when the receiver had said that it took it';
COMMENT ON COLUMN m3sync.notice.digest IS 'the mail that holds it, together with others';
COMMENT ON COLUMN m3sync.notice.withdrawn_at IS 'when it was given up';
ALTER TABLE m3sync.notice ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME m3sync.notice_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE UNLOGGED TABLE m3sync.outgoing_record (
    integration text NOT NULL,
    entity text NOT NULL,
    m3ter_id text NOT NULL,
    fingerprint bytea NOT NULL,
    digest bytea NOT NULL,
    shape integer NOT NULL,
    parent text NOT NULL,
    sibling text,
    payload bytea NOT NULL,
    parents text[] DEFAULT '{}'::text[] NOT NULL,
    cut boolean DEFAULT false NOT NULL
);
COMMENT ON TABLE m3sync.outgoing_record IS 'Rows of the run under way that are not answered yet.';
COMMENT ON COLUMN m3sync.outgoing_record.parents IS 'm3ter ids of the records that the row points to';
COMMENT ON COLUMN m3sync.outgoing_record.cut IS 'whether a text was cut to the length of its field';
CREATE TABLE m3sync.ratelimit___m3ter_3faf3f49e542e4e5 (
    name character varying,
    weight smallint,
    item_timestamp timestamp without time zone
);
CREATE TABLE m3sync.rejected_record (
    integration text NOT NULL,
    entity text NOT NULL,
    m3ter_id text NOT NULL,
    class text NOT NULL,
    code text NOT NULL,
    message text NOT NULL,
    fields text[] NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    run_id text NOT NULL,
    first_seen timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_seen timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    fingerprint bytea,
    retry_at timestamp with time zone,
    record_name text,
    record_code text,
    refused jsonb
);
COMMENT ON TABLE m3sync.rejected_record IS 'Records that are not in Salesforce as they are in m3ter, and why.';
COMMENT ON COLUMN m3sync.rejected_record.fingerprint IS 'of the row that Salesforce refused';
COMMENT ON COLUMN m3sync.rejected_record.retry_at IS 'unless the row changes; the next run where it is empty';
COMMENT ON COLUMN m3sync.rejected_record.record_name IS 'the record''s name in m3ter';
COMMENT ON COLUMN m3sync.rejected_record.record_code IS 'the record''s code in m3ter';
COMMENT ON COLUMN m3sync.rejected_record.refused IS 'Salesforce field to the value that was refused';
CREATE TABLE m3sync.removed_record (
    id bigint NOT NULL,
    integration text NOT NULL,
    entity text NOT NULL,
    m3ter_id text NOT NULL,
    salesforce_id text NOT NULL,
    action text NOT NULL,
    run_id text NOT NULL,
    removed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
COMMENT ON TABLE m3sync.removed_record IS 'Salesforce records that were flagged or deleted, because m3ter had them no more.';
COMMENT ON COLUMN m3sync.removed_record.action IS 'flag or delete';
ALTER TABLE m3sync.removed_record ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME m3sync.removed_record_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE m3sync.synced_record (
    integration text NOT NULL,
    entity text NOT NULL,
    m3ter_id text NOT NULL,
    fingerprint bytea,
    digest bytea,
    salesforce_id text NOT NULL,
    run_id text NOT NULL,
    synced_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    parents text[] DEFAULT '{}'::text[] NOT NULL,
    cut boolean DEFAULT false NOT NULL
);
COMMENT ON TABLE m3sync.synced_record IS 'What Salesforce acknowledged last, one row for each record.';
COMMENT ON COLUMN m3sync.synced_record.fingerprint IS 'of the mapped row';
COMMENT ON COLUMN m3sync.synced_record.digest IS 'of m3ter''s JSON text';
COMMENT ON COLUMN m3sync.synced_record.parents IS 'm3ter ids of the records that the row points to';
COMMENT ON COLUMN m3sync.synced_record.cut IS 'whether a text was cut to the length of its field';
CREATE TABLE m3sync.user_address (
    credential text NOT NULL,
    user_id text NOT NULL,
    name text NOT NULL,
    email text,
    read_at timestamp with time zone NOT NULL
);
COMMENT ON TABLE m3sync.user_address IS 'm3ter users who are notified, as m3ter last gave them.';
COMMENT ON COLUMN m3sync.user_address.credential IS 'the m3ter credential';
COMMENT ON COLUMN m3sync.user_address.email IS 'empty where m3ter has none';
INSERT INTO m3sync.alembic_version VALUES ('0011');
INSERT INTO m3sync.credential_login VALUES ('salesforce_production', '00ff', '2026-11-26 12:40:00+00', '00D000000000001', 'https://acme.my.salesforce.com', NULL, NULL);
INSERT INTO m3sync.entity_sync VALUES ('acme', 'account', '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:44+00', 18, 16);
INSERT INTO m3sync.fingerprint_basis VALUES ('acme', 'balance', '00D000000000001', NULL, NULL, 'org', 'm3ter_Balance__c', 'm3ter_Id__c', '2026-11-27 01:49:44.974073+00', 'x');
INSERT INTO m3sync.ingest_job VALUES ('750000000000001AAA', 'acme', 'account', 'm3ter_Account__c', 3, 'abc', 'Open', 'run-1', '2026-11-26 12:31:48.124079+00', NULL, NULL);
INSERT INTO m3sync.integration_event OVERRIDING SYSTEM VALUE VALUES (1, 'integration.validation.error', '2026-11-26 12:31:43.222067+00', 'acme', 'account', '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '1 account records are invalid or were rejected by Salesforce', 'See m3sync rejects acme; put the records or the mapping right.', NULL, NULL, false);
INSERT INTO m3sync.integration_event OVERRIDING SYSTEM VALUE VALUES (2, 'integration.missingaccountmapping.error', '2026-11-26 12:31:43.286781+00', 'acme', 'account', '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '3 account records wait for a record that is not in Salesforce', 'They are sent once that record is there: see to it that an integration carries it. See m3sync rejects acme.', NULL, NULL, false);
INSERT INTO m3sync.integration_event OVERRIDING SYSTEM VALUE VALUES (3, 'integration.missingaccountmapping.error', '2026-11-26 12:31:44.655897+00', 'acme', 'contract', '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '4 contract records wait for a record that is not in Salesforce', 'They are sent once that record is there: see to it that an integration carries it. See m3sync rejects acme.', NULL, NULL, false);
INSERT INTO m3sync.integration_event OVERRIDING SYSTEM VALUE VALUES (4, 'integration.missingaccountmapping.error', '2026-11-26 12:31:45.80089+00', 'acme', 'balance', '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '5 balance records wait for a record that is not in Salesforce', 'They are sent once that record is there: see to it that an integration carries it. See m3sync rejects acme.', NULL, NULL, false);
INSERT INTO m3sync.integration_event OVERRIDING SYSTEM VALUE VALUES (5, 'integration.missingaccountmapping.error', '2026-11-26 12:31:46.834342+00', 'acme', 'commitment', '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '3 commitment records wait for a record that is not in Salesforce', 'They are sent once that record is there: see to it that an integration carries it. See m3sync rejects acme.', NULL, NULL, false);
INSERT INTO m3sync.integration_state VALUES ('acme', 1767225600, 1795707908.097224, 5, 1795707908.097224, NULL, NULL, 'an earlier error', NULL, NULL);
INSERT INTO m3sync.notice OVERRIDING SYSTEM VALUE VALUES (1, 'acme failed 5 times in a row (run 17)', 'user:u1', 'acme', '{"kind": "warned", "failures": 5}', '2026-11-26 12:31:48.138687+00', 0, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO m3sync.ratelimit___m3ter_3faf3f49e542e4e5 VALUES ('m3ter', 1, '2026-11-26 12:31:42.399');
INSERT INTO m3sync.ratelimit___m3ter_3faf3f49e542e4e5 VALUES ('m3ter', 2, '2026-11-26 12:31:42.421');
INSERT INTO m3sync.ratelimit___m3ter_3faf3f49e542e4e5 VALUES ('m3ter', 2, '2026-11-26 12:31:42.421');
INSERT INTO m3sync.ratelimit___m3ter_3faf3f49e542e4e5 VALUES ('m3ter', 1, '2026-11-26 12:31:44.376');
INSERT INTO m3sync.ratelimit___m3ter_3faf3f49e542e4e5 VALUES ('m3ter', 1, '2026-11-26 12:31:45.661');
INSERT INTO m3sync.ratelimit___m3ter_3faf3f49e542e4e5 VALUES ('m3ter', 1, '2026-11-26 12:31:46.674');
INSERT INTO m3sync.rejected_record VALUES ('acme', 'account', 'b2221a58-008a-45a6-8464-7159c324c985', 'invalid', 'M3SYNC_INVALID_VALUE', 'Purchase_Order_Number__c: ''xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'' is 300 characters long, the field holds 255', '{Purchase_Order_Number__c}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:42.845714+00', '2026-11-26 12:31:42.845714+00', NULL, NULL, NULL, NULL, NULL);
INSERT INTO m3sync.rejected_record VALUES ('acme', 'account', 'cd447e35-b8b6-48fe-842e-3d437204e52d', 'dependency', 'INVALID_FIELD', 'Foreign key external ID: b2221a58-008a-45a6-8464-7159c324c985 not found for field m3ter_Id__c in entity m3ter_Account__c', '{}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:42.983905+00', '2026-11-26 12:31:42.983905+00', '\xe167d1fae931a23098f46bf0aad6ae30', NULL, NULL, NULL, NULL);
INSERT INTO m3sync.rejected_record VALUES ('acme', 'account', 'afbd67f9-6196-49cf-a198-8ad9f06c144a', 'dependency', 'INVALID_FIELD', 'Foreign key external ID: cd447e35-b8b6-48fe-842e-3d437204e52d not found for field m3ter_Id__c in entity m3ter_Account__c', '{}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:43.121479+00', '2026-11-26 12:31:43.121479+00', '\x94963e8cd1d8ef4c4d3ccd30c35b8324', NULL, NULL, NULL, NULL);
INSERT INTO m3sync.rejected_record VALUES ('acme', 'contract', '20012170-d418-47af-a5b7-501ac9c1ffef', 'dependency', 'INVALID_FIELD', 'Foreign key external ID: 1a2b8f1f-f1fd-42a2-9755-d4c13a902931 not found for field m3ter_Id__c in entity m3ter_Account__c', '{}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:44.548356+00', '2026-11-26 12:31:44.548356+00', '\xea7a9e7825f474ceac8c2ab10583f853', NULL, NULL, NULL, NULL);
INSERT INTO m3sync.rejected_record VALUES ('acme', 'contract', '4a7347fa-0289-4b06-a2a8-66b40581f255', 'dependency', 'INVALID_FIELD', 'Foreign key external ID: 1a2b8f1f-f1fd-42a2-9755-d4c13a902931 not found for field m3ter_Id__c in entity m3ter_Account__c', '{}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:44.548454+00', '2026-11-26 12:31:44.548454+00', '\x122cf444bea85346c77a0624178f682d', NULL, NULL, NULL, NULL);
INSERT INTO m3sync.rejected_record VALUES ('acme', 'contract', '4eac98d6-3534-4cae-8aa6-72352ee7af97', 'dependency', 'INVALID_FIELD', 'Foreign key external ID: cd447e35-b8b6-48fe-842e-3d437204e52d not found for field m3ter_Id__c in entity m3ter_Account__c', '{}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:44.548555+00', '2026-11-26 12:31:44.548555+00', '\x30a43993729ce74abca99278923dfdaf', NULL, NULL, NULL, NULL);
INSERT INTO m3sync.rejected_record VALUES ('acme', 'contract', 'ea190b2a-5806-4a9d-8c31-406deea3d685', 'dependency', 'INVALID_FIELD', 'Foreign key external ID: afbd67f9-6196-49cf-a198-8ad9f06c144a not found for field m3ter_Id__c in entity m3ter_Account__c', '{}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:44.548534+00', '2026-11-26 12:31:44.548534+00', '\xf83f344563cf176197de0e53043e596a', NULL, NULL, NULL, NULL);
INSERT INTO m3sync.rejected_record VALUES ('acme', 'balance', '3ed1e0eb-d765-494f-acc1-aeaf18143722', 'dependency', 'INVALID_FIELD', 'Foreign key external ID: 1a2b8f1f-f1fd-42a2-9755-d4c13a902931 not found for field m3ter_Id__c in entity m3ter_Account__c', '{}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:45.750873+00', '2026-11-26 12:31:45.750873+00', '\xed5956048a3575993dc7c263f1ee36b3', NULL, NULL, NULL, NULL);
INSERT INTO m3sync.rejected_record VALUES ('acme', 'balance', '7e0b6723-5245-40a4-a5a2-4e8a3a4548f2', 'dependency', 'INVALID_FIELD', 'Foreign key external ID: afbd67f9-6196-49cf-a198-8ad9f06c144a not found for field m3ter_Id__c in entity m3ter_Account__c', '{}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:45.750954+00', '2026-11-26 12:31:45.750954+00', '\xd54a432d7bc21c7751c5c385f771a915', NULL, NULL, NULL, NULL);
INSERT INTO m3sync.rejected_record VALUES ('acme', 'balance', '991ba3ce-334c-46b8-a42b-0627384da682', 'dependency', 'INVALID_FIELD', 'Foreign key external ID: cd447e35-b8b6-48fe-842e-3d437204e52d not found for field m3ter_Id__c in entity m3ter_Account__c', '{}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:45.75097+00', '2026-11-26 12:31:45.75097+00', '\xc54a757d4d189d66bad9aa6e632e6595', NULL, NULL, NULL, NULL);
INSERT INTO m3sync.rejected_record VALUES ('acme', 'balance', 'e14e939a-b62e-4693-b309-cdb189c08e1c', 'dependency', 'INVALID_FIELD', 'Foreign key external ID: 1a2b8f1f-f1fd-42a2-9755-d4c13a902931 not found for field m3ter_Id__c in entity m3ter_Account__c', '{}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:45.750918+00', '2026-11-26 12:31:45.750918+00', '\xf8296d23c13f85fa7f6069123fb5f389', NULL, NULL, NULL, NULL);
INSERT INTO m3sync.rejected_record VALUES ('acme', 'balance', 'ff11dc91-b6a3-4e92-bc2e-9ff5a72f6600', 'dependency', 'INVALID_FIELD', 'Foreign key external ID: 1a2b8f1f-f1fd-42a2-9755-d4c13a902931 not found for field m3ter_Id__c in entity m3ter_Account__c', '{}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:45.750939+00', '2026-11-26 12:31:45.750939+00', '\xe0d66e0c90c57b149910ff1031dd156b', NULL, NULL, NULL, NULL);
INSERT INTO m3sync.rejected_record VALUES ('acme', 'commitment', '286bef29-8999-48a7-aec1-5d384c867062', 'dependency', 'INVALID_FIELD', 'Foreign key external ID: afbd67f9-6196-49cf-a198-8ad9f06c144a not found for field m3ter_Id__c in entity m3ter_Account__c', '{}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:46.779192+00', '2026-11-26 12:31:46.779192+00', '\xeab264a4c93d2df3769f7dd7854947d9', NULL, NULL, NULL, NULL);
INSERT INTO m3sync.rejected_record VALUES ('acme', 'commitment', '87ecbe86-ab39-4034-9eba-8775730b19ec', 'dependency', 'INVALID_FIELD', 'Foreign key external ID: 1a2b8f1f-f1fd-42a2-9755-d4c13a902931 not found for field m3ter_Id__c in entity m3ter_Account__c', '{}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:46.778461+00', '2026-11-26 12:31:46.778461+00', '\xa9b3051bc0998e1aef55c56e9d1ee333', NULL, NULL, NULL, NULL);
INSERT INTO m3sync.rejected_record VALUES ('acme', 'commitment', 'bc85e5de-b386-425c-b387-42ad2a4926f0', 'dependency', 'INVALID_FIELD', 'Foreign key external ID: cd447e35-b8b6-48fe-842e-3d437204e52d not found for field m3ter_Id__c in entity m3ter_Account__c', '{}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:46.779241+00', '2026-11-26 12:31:46.779241+00', '\x941879fc56463cc0c4326ef6f394cf58', NULL, NULL, NULL, NULL);
INSERT INTO m3sync.rejected_record VALUES ('acme', 'account', '1a2b8f1f-f1fd-42a2-9755-d4c13a902931', 'dependency', 'INVALID_FIELD', 'Foreign key external ID: cd447e35-b8b6-48fe-842e-3d437204e52d not found for field m3ter_Id__c in entity m3ter_Account__c', '{}', 1, '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:43.12137+00', '2026-11-26 12:31:43.12137+00', '\xbae8dd3b1f7dfc4858b63617a79c9ffd', NULL, 'Acme', 'ACME', '{"Code__c": "ACME"}');
INSERT INTO m3sync.removed_record OVERRIDING SYSTEM VALUE VALUES (1, 'acme', 'account', 'gone', 'a0100000000000AAAA', 'delete', 'run-1', '2026-11-26 12:31:48.143938+00');
INSERT INTO m3sync.synced_record VALUES ('acme', 'account', '025b413f-8a9a-421e-a648-a7dd06839eb9', '\xc9cf10c7a7cb57374d74ff95ead55bb6', '\x1999e2d47acf591d69e2879fcc5ccfb9', 'a00000000000000AAA', '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:42.958763+00', '{}', false);
INSERT INTO m3sync.synced_record VALUES ('acme', 'account', '05b6e6e3-07d4-4edc-9143-1193e6c3f339', '\xba1fd79cb2b52580a9b89510ef56303a', '\x0d3e617235473ab4fcbdc8a8dfbfc1d1', 'a00000000000001AAA', '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:42.958895+00', '{}', false);
INSERT INTO m3sync.synced_record VALUES ('acme', 'contract', '1a5356b5-d853-48b6-be77-344828b09a93', '\x4e797c82906919be9f634018a645e4a8', '\x731dc112bafaa4fe7c835286858f3f38', 'a04000000000000AAA', '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:44.537725+00', '{}', false);
INSERT INTO m3sync.synced_record VALUES ('acme', 'balance', '03e2e7c4-07cc-4424-a9e6-ed7ccb320db8', '\x504b1775dac65fbc20cfb1bd64b484df', '\x9b4ade9374c8f04243777aff573642f1', 'a01000000000001AAA', '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:45.745032+00', '{}', false);
INSERT INTO m3sync.synced_record VALUES ('acme', 'balance', '7dff04ae-8611-48b9-8c79-50fa2273ea38', '\xfabbe2574ac82a30e2526c59b99218c5', '\x23d63403f867cd57840d16c0860b6935', 'a01000000000000AAA', '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:45.74506+00', '{}', false);
INSERT INTO m3sync.synced_record VALUES ('acme', 'commitment', '25fe3a18-48e7-42ba-ac40-0b9534e41e75', '\xa68610ee0c0484325505cf4d62081c40', '\x3b2a7507655f543344baa53e065111bb', 'a03000000000000AAA', '61ad90fb-14ce-4ea7-93b9-ebd160ae61be', '2026-11-26 12:31:46.772674+00', '{}', false);
INSERT INTO m3sync.user_address VALUES ('m3ter_production', 'u1', 'Ada', 'ada@example.com', '2026-11-26 15:45:08.544278+00');
SELECT pg_catalog.setval('m3sync.integration_event_id_seq', 5, true);
SELECT pg_catalog.setval('m3sync.notice_id_seq', 1, true);
SELECT pg_catalog.setval('m3sync.removed_record_id_seq', 1, true);
ALTER TABLE ONLY m3sync.absent_integration
    ADD CONSTRAINT absent_integration_pkey PRIMARY KEY (integration);
ALTER TABLE ONLY m3sync.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY m3sync.credential_login
    ADD CONSTRAINT credential_login_pkey PRIMARY KEY (credential);
ALTER TABLE ONLY m3sync.describe_cache
    ADD CONSTRAINT describe_cache_pkey PRIMARY KEY (asked_by, object);
ALTER TABLE ONLY m3sync.entity_sync
    ADD CONSTRAINT entity_sync_pkey PRIMARY KEY (integration, entity);
ALTER TABLE ONLY m3sync.failed_address_lookup
    ADD CONSTRAINT failed_address_lookup_pkey PRIMARY KEY (credential);
ALTER TABLE ONLY m3sync.fingerprint_basis
    ADD CONSTRAINT fingerprint_basis_pkey PRIMARY KEY (integration, entity);
ALTER TABLE ONLY m3sync.ingest_job
    ADD CONSTRAINT ingest_job_pkey PRIMARY KEY (job_id);
ALTER TABLE ONLY m3sync.integration_event
    ADD CONSTRAINT integration_event_pkey PRIMARY KEY (id);
ALTER TABLE ONLY m3sync.integration_state
    ADD CONSTRAINT integration_state_pkey PRIMARY KEY (integration);
ALTER TABLE ONLY m3sync.notice
    ADD CONSTRAINT notice_once UNIQUE (change, target);
ALTER TABLE ONLY m3sync.notice
    ADD CONSTRAINT notice_pkey PRIMARY KEY (id);
ALTER TABLE ONLY m3sync.outgoing_record
    ADD CONSTRAINT outgoing_record_pkey PRIMARY KEY (integration, entity, m3ter_id);
ALTER TABLE ONLY m3sync.rejected_record
    ADD CONSTRAINT rejected_record_pkey PRIMARY KEY (integration, entity, m3ter_id);
ALTER TABLE ONLY m3sync.removed_record
    ADD CONSTRAINT removed_record_pkey PRIMARY KEY (id);
ALTER TABLE ONLY m3sync.synced_record
    ADD CONSTRAINT synced_record_pkey PRIMARY KEY (integration, entity, m3ter_id);
ALTER TABLE ONLY m3sync.user_address
    ADD CONSTRAINT user_address_pkey PRIMARY KEY (credential, user_id);
CREATE INDEX ingest_job_of ON m3sync.ingest_job USING btree (integration, entity);
CREATE INDEX integration_event_of ON m3sync.integration_event USING btree (integration, "time");
CREATE UNIQUE INDEX integration_event_once ON m3sync.integration_event USING btree (run_id, integration, name, COALESCE(entity, ''::text));
CREATE INDEX notice_open ON m3sync.notice USING btree (integration) WHERE (confirmed_at IS NULL);
CREATE INDEX removed_record_of ON m3sync.removed_record USING btree (integration, entity);
CREATE INDEX synced_record_digest ON m3sync.synced_record USING btree (integration, entity, digest);
CREATE INDEX timestampindex_m3ter_3faf3f49e542e4e5 ON m3sync.ratelimit___m3ter_3faf3f49e542e4e5 USING btree (item_timestamp);
