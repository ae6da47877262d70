//! The list of the suite's tests, by clause. What stands in brackets is what a test needs to be offered.

/// Every test of the backend suite, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __backend_cases {
    ($then:ident { $($with:tt)* }) => {
        $crate::$then! {
            { $($with)* }
            idempotent {
                every_call_gives_the_same_answer_when_it_comes_again []
                a_call_that_its_caller_dropped_at_any_step_converges_when_it_comes_again []
                a_call_that_had_too_little_time_converges_when_it_comes_again []
                a_call_that_panicked_at_any_step_converges_when_it_comes_again []
                what_was_destroyed_begins_anew []
            }
            data {
                data_survives_everything_but_destroy [Data]
                data_survives_calls_that_fail_at_any_step [Data]
                what_was_destroyed_has_no_data_when_it_begins_anew [Data]
                resume_makes_nothing_that_was_never_there []
                a_project_that_did_not_come_back_is_paused_and_resumed []
            }
            bounded {
                provision_that_is_cancelled_at_any_step_leaves_only_what_destroy_removes []
                every_call_that_is_cancelled_at_any_step_returns_and_converges_when_it_comes_again []
                every_call_that_is_cancelled_amid_an_effect_returns_and_converges_when_it_comes_again []
                a_call_that_is_too_late_does_nothing []
                a_call_that_lost_its_lease_does_nothing_more []
                nothing_is_done_before_a_step []
            }
            apart {
                two_projects_share_nothing []
                projects_do_not_share_ports [Ports]
                the_longest_and_most_hostile_texts_harm_nobody []
            }
            errors {
                a_failed_step_is_told_as_it_failed_and_named []
                what_cannot_be_run_is_refused_and_named []
                a_port_that_a_stranger_holds_is_named_and_may_be_freed [Ports Strangers]
            }
            output {
                no_secret_is_in_any_outcome_plan_health_or_log []
                no_secret_is_in_any_error []
                logs_are_of_the_services_that_were_asked_for []
                logs_go_on_when_they_are_followed [FollowLogs]
            }
            looking {
                health_and_plan_tell_where_a_project_stands []
                looking_changes_nothing []
                what_broke_is_seen_and_mended [Damage]
                settings_that_differ_are_seen_and_come_into_force [Settings]
            }
            inventory {
                a_project_is_listed_while_anything_of_it_is_left []
                each_project_is_listed_for_the_installation_that_it_was_made_for []
                what_a_failed_provision_left_is_listed [Leftovers]
                destroying_what_is_not_there_succeeds []
            }
            ordering {
                projects_do_not_wait_for_each_other []
                looking_waits_for_no_call []
                destroy_comes_at_any_time []
            }
            describes {
                the_description_is_sound_and_stays_the_same []
                a_project_is_reached_as_its_stack_declares []
                some_services_are_restarted_by_their_names [RestartServices]
            }
        }
    };
}
