"""What ``docs/from-m3ter.md`` says about the guard, and the tests that prove it."""

from collections.abc import Mapping, Sequence

ENABLE_DISABLE = "cli/test_enable_disable.py"
STATUS = "cli/test_status.py"
MATERIALIZE = "components/test_materialize.py"
MODEL = "guard/model/test_guard_model.py"
POLICY = "guard/test_disable_policy.py"
DISABLING = "guard/test_disabling.py"
LIFE = "guard/test_integration_life.py"
SCHEDULES = "guard/test_schedules.py"
SENSOR = "guard/test_guard_over_time.py"
START_FAILURES = "guard/test_start_failures.py"
WHICH_RUNS_COUNT = "guard/test_which_runs_count.py"
DAEMON = "live/test_daemon.py"
ADDRESSES = "notifications/test_addresses.py"
DELIVERY = "notifications/test_delivery.py"
DIGESTS = "notifications/test_digests.py"
HANGING = "notifications/test_hanging_receivers.py"
KILLED = "notifications/test_killed_senders.py"
FAILURE_TAGS = "runs/test_failure_tags.py"

Proofs = Mapping[str, Mapping[str, Sequence[str]]]
"""By sentence, and by the file of the tests, the names of the tests."""

TABLE: Proofs = {
    "of the schedule, or of a single hour that a person launches, that fails: yes": {
        WHICH_RUNS_COUNT: [
            "test_which_failures_count",
        ],
        SENSOR: [
            "test_the_tenth_failure_in_a_row_stops_the_schedule",
        ],
    },
    "that could not start: yes; the message says how many could not, and what to raise": {
        START_FAILURES: [
            "test_ten_slow_starts_disable_and_the_mail_says_what_to_raise",
            "test_slow_starts_among_other_failures_are_named_beside_the_last_error",
        ],
    },
    "whose process was killed: yes": {
        SENSOR: [
            "test_what_failed_the_run_is_the_cause_and_not_what_else_went_wrong",
        ],
        DAEMON: [
            "test_a_killed_worker_is_dead_at_once_and_a_slow_one_is_not",
        ],
    },
    "in which several entities fail: once": {
        WHICH_RUNS_COUNT: [
            "test_a_run_in_which_several_entities_fail_is_one_failure",
        ],
    },
    "of several integrations, launched by a person: once for each of them; it is listed under "
    "one": {
        WHICH_RUNS_COUNT: [
            "test_a_run_of_two_integrations_is_a_failure_of_both",
        ],
    },
    "that is executed again, also several times: once, with the first": {
        WHICH_RUNS_COUNT: [
            "test_the_retries_of_one_run_are_one_failure",
            "test_runs_that_count_as_one_may_fail_in_different_entities",
        ],
    },
    "of one tick of the schedule that requests several runs, one for each gap: once together": {
        WHICH_RUNS_COUNT: [
            "test_the_runs_of_one_tick_are_one_failure",
        ],
    },
    "that ends as RATE_LIMIT_RETRY: no: the next run continues": {
        WHICH_RUNS_COUNT: [
            "test_which_failures_count",
        ],
    },
    "that ends as TIMEOUT_LIMIT_EXCEEDED: no if Salesforce's job advanced while the run "
    "waited, yes if it did not": {
        WHICH_RUNS_COUNT: [
            "test_ten_failures_of_one_kind_disable_where_they_count",
        ],
        FAILURE_TAGS: [
            "test_which_errors_count",
        ],
    },
    "that was refused because another run is writing the integration: no": {
        WHICH_RUNS_COUNT: [
            "test_a_refused_lock_is_no_failure_of_the_integration",
            "test_ten_failures_of_one_kind_disable_where_they_count",
        ],
    },
    "that is canceled, of a backfill, or of a range of hours that a person launches: no": {
        WHICH_RUNS_COUNT: [
            "test_what_does_not_count_does_not_hide_what_does",
            "test_which_failures_count",
        ],
    },
    "that was created or has ended before the schedule was last started: no": {
        WHICH_RUNS_COUNT: [
            "test_a_run_that_was_created_before_the_start_and_fails_after_it_does_not_count",
        ],
        SENSOR: [
            "test_starting_the_schedule_clears_the_count",
        ],
    },
    "that ended more than a week before the newest failure of any integration: no": {
        WHICH_RUNS_COUNT: [
            "test_a_failure_more_than_a_week_before_the_newest_does_not_count",
            "test_a_week_is_measured_by_the_ends_of_runs",
        ],
    },
}
"""The rows of the table: the run, and whether it counts."""

SENTENCES: Proofs = {
    "Ten runs in a row must fail.": {
        SENSOR: [
            "test_the_tenth_failure_in_a_row_stops_the_schedule",
        ],
        DISABLING: [
            "test_ten_failed_hours_disable_and_enabling_begins_anew",
        ],
    },
    "Runs are ordered by their end, so a long run that succeeds also resets the failures that "
    "ended before it.": {
        WHICH_RUNS_COUNT: [
            "test_failures_while_a_long_run_goes_on_are_over_when_it_succeeds",
        ],
        POLICY: [
            "test_order_is_by_the_end_of_the_run",
        ],
    },
    "A success resets the count for the entities that it synced: if `contract` fails every "
    "hour, a run of `account` alone resets nothing.": {
        WHICH_RUNS_COUNT: [
            "test_a_success_of_another_entity_is_no_success_of_what_failed",
        ],
    },
    "If only some entities of a run fail in a way that counts, a success of these alone resets "
    "it.": {
        WHICH_RUNS_COUNT: [
            "test_an_entity_without_quota_is_no_failure_beside_one_that_fails",
        ],
    },
    "Each start of the schedule clears the count, by `m3sync enable`, the switch in the UI, or "
    "a program.": {
        SENSOR: [
            "test_starting_the_schedule_clears_the_count",
            "test_a_life_goes_on_after_it_was_enabled_by_the_command",
        ],
        SCHEDULES: [
            "test_dagster_takes_our_start_for_its_own",
        ],
    },
    "The first start does too, so trial runs before it do not count.": {
        WHICH_RUNS_COUNT: [
            "test_the_first_start_clears_the_count",
        ],
    },
    "An integration works again once every entity that failed has been synced.": {
        POLICY: [
            "test_only_a_success_of_what_failed_is_a_recovery",
        ],
        WHICH_RUNS_COUNT: [
            "test_a_success_of_another_entity_is_no_success_of_what_failed",
        ],
    },
    "Rows that Salesforce rejects do not fail a run: `m3sync rejects` lists them, the check "
    "`no_rejected_records` warns of them, they are one `integration.validation.error`, and "
    "`notify:` notifies people of them: see [Rows](when-it-goes-wrong.md#rows).": {
        "notifications/test_health_messages.py": [
            "test_those_under_notify_are_told_of_rejects_once_and_when_it_is_over",
        ],
        MATERIALIZE: [
            "test_a_row_that_salesforce_rejects_stops_no_other",
        ],
        STATUS: [
            "test_rejects_are_listed_under_the_names_that_people_know",
        ],
    },
    "If several entities of a run fail in different ways, the run has the most serious status: "
    "AUTH_FAILED, then ERROR, TIMEOUT_LIMIT_EXCEEDED, RATE_LIMIT_RETRY.": {
        FAILURE_TAGS: [
            "test_of_several_entities_the_gravest_status_is_the_run_s",
        ],
    },
    "A run that is executed again has its own status.": {
        FAILURE_TAGS: [
            "test_a_run_that_is_executed_again_does_not_take_over_the_status",
        ],
        WHICH_RUNS_COUNT: [
            "test_a_run_that_is_executed_again_and_dies_is_recorded_for_itself",
        ],
    },
    "Every change of state is one message to each receiver, even if processes are killed.": {
        LIFE: [
            "test_a_daemon_that_is_killed_tells_everybody_once",
        ],
        DISABLING: [
            "test_a_daemon_that_is_killed_twice_tells_everybody_once",
        ],
        MODEL: [
            "test_any_sequence_agrees_with_the_reference",
        ],
    },
    "It is recorded together with the change, sent until the receiver accepts it, and then "
    "never sent again.": {
        LIFE: [
            "test_a_daemon_that_is_killed_tells_everybody_once",
        ],
        DELIVERY: [
            "test_a_mail_server_that_is_down_gets_the_mail_later_once",
        ],
    },
    "**One cause, one message.**": {
        DIGESTS: [
            "test_one_cause_is_one_mail_to_each_person_that_names_each_integration",
            "test_two_causes_are_two_mails",
            "test_a_channel_gets_one_message_too",
        ],
    },
    "Integrations that change for the same cause share a message that names each of them.": {
        DIGESTS: [
            "test_one_cause_is_one_mail_to_each_person_that_names_each_integration",
        ],
    },
    "After the first one, a receiver gets the next of that cause ten minutes later, because "
    "integrations run at different minutes.": {
        DIGESTS: [
            "test_what_follows_within_ten_minutes_is_gathered",
        ],
    },
    "**Outdated messages are withdrawn.**": {
        ADDRESSES: [
            "test_of_notices_that_waited_only_the_last_is_sent",
            "test_a_disabled_integration_that_is_enabled_again_is_not_reported_as_disabled",
        ],
    },
    "If the state changes again before a message is sent, the message is withdrawn; Dagster's "
    "UI still shows every change on the assets.": {
        ADDRESSES: [
            "test_of_notices_that_waited_only_the_last_is_sent",
        ],
        SENSOR: [
            "test_dagsters_ui_shows_each_change_on_the_assets",
        ],
    },
    "A start of the schedule is such a change for an integration that fails or is disabled.": {
        ADDRESSES: [
            "test_a_start_withdraws_a_warning",
            "test_a_start_does_not_withdraw_that_the_integration_works_again",
        ],
    },
    "**m3ter may be unavailable.**": {
        ADDRESSES: [
            "test_an_m3ter_that_hangs_keeps_nobody_from_being_notified",
        ],
    },
    "Addresses are looked up when a mail is sent, and refreshed once a day.": {
        ADDRESSES: [
            "test_a_current_address_is_preferred",
            "test_addresses_are_refreshed_once_a_day",
        ],
    },
    "If m3ter does not answer or refuses the key, the last known address is used.": {
        ADDRESSES: [
            "test_an_m3ter_that_hangs_keeps_nobody_from_being_notified",
            "test_a_revoked_m3ter_key_keeps_nobody_from_being_notified",
        ],
    },
    "The guard's tick shows a failed look-up.": {
        ADDRESSES: [
            "test_a_revoked_m3ter_key_keeps_nobody_from_being_notified",
            "test_a_refresh_that_fails_is_not_made_at_each_tick",
        ],
    },
    "**No receiver delays another.**": {
        HANGING: [
            "test_a_channel_that_hangs_delays_no_mail",
        ],
    },
    "A tick of the guard ends within 30 seconds even if m3ter, the mail server, a channel or a "
    "name server does not answer, and an integration does not wait for the m3ter of another "
    "one.": {
        HANGING: [
            "test_an_m3ter_that_hangs_delays_no_other_integration",
            "test_a_mail_server_that_hangs_does_not_hold_up_the_tick",
            "test_a_channel_that_hangs_delays_no_mail",
            "test_a_name_server_that_hangs_does_not_hold_up_the_tick",
        ],
    },
    "**Failed messages are retried** at each tick, twenty times, and then hourly, until the "
    "receiver accepts them or the configuration no longer names the receiver.": {
        KILLED: [
            "test_a_message_is_tried_at_twenty_ticks_and_then_once_an_hour",
        ],
        DELIVERY: [
            "test_a_mail_server_that_is_down_gets_the_mail_later_once",
            "test_whoever_is_no_longer_named_is_owed_nothing",
        ],
    },
    "`m3sync status` shows what has failed.": {
        ENABLE_DISABLE: [
            "test_a_message_that_has_not_arrived_is_shown",
        ],
        STATUS: [
            "test_what_the_guard_could_not_judge_is_reported",
        ],
    },
    "**Messages of an integration that is renamed or removed** wait a week for it to be loaded "
    "again and are then withdrawn.": {
        DIGESTS: [
            "test_the_notices_of_an_integration_that_is_gone_are_withdrawn_after_a_week",
        ],
    },
    "`m3sync status` shows that for a week.": {
        STATUS: [
            "test_messages_of_an_integration_that_is_gone_are_reported",
        ],
        DIGESTS: [
            "test_the_notices_of_an_integration_that_is_gone_are_withdrawn_after_a_week",
        ],
    },
    "A mail counts as sent when its last byte was sent, before the server has answered.": {
        LIFE: [
            "test_a_daemon_that_is_killed_tells_everybody_once",
        ],
    },
    "If a process is killed within microseconds of that, the mail is sent twice, with the same "
    "Message-ID, by which mailboxes recognize it.": {
        KILLED: [
            "test_a_mail_that_left_a_killed_process_unnoted_is_sent_again_as_the_same_mail",
        ],
    },
    "If the process is killed while the server is answering, the answer is lost; then `m3sync "
    "status` shows that for a week, and the mail is not sent again.": {
        KILLED: [
            "test_a_lost_answer_is_shown_for_a_week",
        ],
        DISABLING: [
            "test_a_daemon_that_is_killed_twice_tells_everybody_once",
        ],
    },
    "If the process is killed while another channel is notified, that channel is notified again.": {
        KILLED: [
            "test_a_channel_whose_sender_was_killed_is_notified_again",
        ],
    },
}
"""Everything else that the two sections say."""

NO_RULE = {"[Mail](surroundings.md#mail) describes the variables."}
"""What says nothing that could be tested."""
