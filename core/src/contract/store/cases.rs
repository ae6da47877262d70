//! The list of the suite's tests, by clause. What stands in brackets is what a test needs to be offered.

/// Every test of the store suite, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_cases {
    ($then:ident { $($with:tt)* }) => {
        $crate::$then! {
            { $($with)* }
            atomic {
                a_created_project_has_a_number_ports_a_network_and_an_operation_that_waits []
                a_refused_change_leaves_nothing_behind []
                a_project_is_never_active_without_a_connection []
                the_longest_and_most_hostile_texts_come_back_as_they_were []
            }
            versions {
                of_two_changes_prepared_from_one_version_the_second_loses_the_race []
                of_many_changes_at_once_exactly_one_wins []
                the_watcher_moves_only_a_project_that_is_idle []
                what_was_observed_is_noted_and_changes_no_version []
            }
            one_operation {
                a_command_is_refused_while_an_operation_runs_or_waits []
                destroy_takes_the_place_of_an_operation_that_waits []
                destroy_asks_an_operation_that_runs_to_end_and_waits_behind_it []
                what_waits_behind_a_running_operation_is_begun_when_that_has_ended []
                an_operation_that_is_asked_to_end_is_due_at_once []
                asking_an_operation_to_end_twice_is_told_once_and_changes_no_version []
                an_operation_of_another_project_cannot_be_cancelled []
            }
            claims {
                the_oldest_operation_comes_first_and_only_of_targets_that_are_served []
                every_operation_is_given_to_exactly_one_of_many_workers []
                a_claim_of_several_gives_the_oldest_within_its_limit_and_the_bound []
                who_waits_knows_how_many_are_before_it []
                a_target_never_runs_more_operations_than_its_bound []
                an_organization_never_runs_more_operations_than_its_bound_and_others_go_first []
                an_operations_time_begins_when_it_is_first_begun []
                an_operations_time_stands_still_while_it_waits_again []
                a_takeover_leaves_the_deadline_where_it_is []
                an_operation_is_not_begun_before_it_is_due []
                a_claim_carries_what_the_work_needs_counts_an_attempt_and_raises_the_epoch []
            }
            leases {
                an_abandoned_operation_is_taken_over_only_after_lease_and_margin []
                who_lost_its_lease_writes_nothing_more []
                a_renewed_lease_ends_later_and_tells_who_asked_for_an_end []
                steps_and_log_are_kept_with_their_attempt_and_only_the_newest []
                progress_that_comes_with_the_end_is_recorded []
            }
            outcomes {
                an_outcome_moves_the_project_only_if_its_operation_put_it_where_it_stands []
                a_second_settlement_finds_the_lease_gone []
                a_settlement_that_would_break_a_promise_changes_nothing []
                a_released_operation_is_tried_again_when_it_is_due []
                what_failed_is_counted_apart_from_what_was_handed_back []
                what_ended_is_forgotten_in_its_time_but_for_what_tells_how_a_project_stands []
                an_operation_released_before_one_that_waits_ends_as_cancelled []
                a_failure_is_kept_and_tells_its_reason []
                what_was_destroyed_gives_back_ports_network_and_secrets []
            }
            names {
                a_name_is_taken_whatever_the_case_until_its_project_goes_down []
                a_renamed_project_gives_its_old_name_back []
                of_many_creates_of_one_name_at_once_exactly_one_wins []
            }
            organizations {
                one_that_has_a_project_is_not_closed_and_a_closed_one_gets_none []
                of_a_create_and_a_closing_at_once_exactly_one_wins []
            }
            allocation {
                a_hundred_creates_at_once_share_no_port_and_no_network []
                however_projects_come_and_go_no_two_share_a_port_or_an_address []
                networks_stay_apart_though_the_pool_is_cut_differently []
                an_exhausted_pool_names_its_setting_and_takes_back_what_is_destroyed []
                a_create_that_gets_no_network_keeps_no_ports []
                two_machines_have_the_same_ports_each_for_themselves []
                a_stack_without_ports_or_network_gets_none []
                a_block_with_a_taken_port_is_set_aside_and_replaced_once []
                what_was_set_aside_comes_back_when_its_time_is_over []
            }
            amounts {
                bounds_hold_for_creates_that_come_at_once_and_name_their_setting []
                a_bound_does_not_count_what_was_removed []
                the_census_counts_projects_and_operations_and_how_long_the_oldest_waits []
            }
            events {
                a_life_is_told_in_order []
                numbers_are_dense_while_many_write_and_two_number []
                events_are_read_by_number_once_they_have_one []
                events_that_are_not_kept_any_more_are_gone_and_numbers_go_on []
                what_is_not_numbered_yet_is_not_forgotten []
                who_listens_hears_of_changes_and_of_numbers []
            }
            idempotency_keys {
                the_same_request_under_one_key_is_carried_out_once []
                the_same_request_that_comes_many_times_at_once_is_carried_out_once []
                another_request_under_the_same_key_is_refused []
                a_refused_change_leaves_its_key_unused []
                a_key_is_its_organizations_own_and_is_forgotten_in_its_time []
            }
            lists {
                pages_follow_each_other_without_gaps_while_rows_change []
                a_cursor_that_no_page_gave_is_refused []
                projects_are_filtered_as_the_model_filters_them []
                removed_projects_are_listed_only_when_asked_for []
                operations_are_listed_newest_first []
            }
            sealed_items {
                a_secret_is_replaced_by_a_higher_version_only []
                items_are_resealed_only_where_they_are_unchanged []
                of_two_hosts_that_add_an_item_of_the_installation_the_first_wins []
            }
            settings {
                a_value_that_is_put_if_absent_is_that_of_whoever_came_first []
                a_targets_name_is_bound_to_one_engine_for_good []
            }
            hosts {
                what_one_host_commits_another_reads_claims_and_is_woken_by [OtherHost]
            }
            transactions {
                a_change_is_rolled_back_with_the_callers_transaction [CallerTransaction]
                a_refused_change_leaves_the_callers_transaction_as_it_was [CallerTransaction]
                a_long_transaction_holds_no_events_up_and_its_own_come_later [CallerTransaction]
            }
        }
    };
}
