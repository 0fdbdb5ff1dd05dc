# ruff: noqa: E501  names of tests are not broken
"""Whole-stack tests that `make nightly` runs, and the tests of `make test` that cover them.

Each of them repeats, with a function in a process of its own, what the covering tests show more
quickly: unit tests, tests of the simulated world, or a story of another capability. A test fails
where a name here is none, or where a nightly test is missing here. (What `make faults` runs is not
part of `make test`, and not listed.)
"""

from collections.abc import Mapping

UNIT, CHAOS, STACKS = "tests/unit", "tests/chaos", "tests/stacks"

COVERED_BY: Mapping[str, tuple[str, ...]] = {
    f"{STACKS}/test_bus_events.py::test_a_replacement_and_a_delete_publish_events_and_an_update_in_place_does_not": (
        f"{UNIT}/test_bus_events.py::test_a_complete_bundle_publishes_an_event_once_it_is_answered",
        f"{UNIT}/test_bus_events.py::test_an_update_that_brings_nothing_new_publishes_no_event",
        f"{UNIT}/test_removed_events.py::test_a_removed_bundle_publishes_an_event_with_what_was_announced",
        f"{CHAOS}/test_chaos.py::test_paths_that_are_known_to_be_hard_end_right",
    ),
    f"{STACKS}/test_bus_events.py::test_an_ami_that_is_changed_in_place_publishes_no_event": (
        f"{UNIT}/test_bus_events.py::test_an_update_that_brings_nothing_new_publishes_no_event",
        f"{UNIT}/test_bus_events.py::test_an_update_in_place_of_a_stored_image_publishes_no_event",
        f"{UNIT}/test_bus_events.py::test_an_ami_with_another_name_or_a_first_name_is_another",
    ),
    f"{STACKS}/test_ceilings.py::test_more_requests_under_way_make_no_rule_and_no_statement": (
        f"{STACKS}/test_ceilings.py::test_requests_under_way_make_no_rule_and_no_statement",
        f"{UNIT}/test_needs.py::test_the_map_has_the_calls_that_the_code_makes_and_those_that_lambda_makes",
    ),
    f"{STACKS}/test_completion.py::test_what_is_delivered_twice_is_made_accepted_and_signalled_once": (
        f"{UNIT}/test_delivery.py::test_an_event_that_comes_again_is_answered_and_signalled_alike",
        f"{UNIT}/test_resource.py::test_polls_that_were_delivered_twice_are_dropped",
        f"{STACKS}/test_stacks.py::test_a_stack_gets_its_bundles",
    ),
    f"{STACKS}/test_completion.py::test_a_replacement_that_no_condition_waits_for_outlives_the_delete_of_the_old_bundle": (
        f"{UNIT}/test_lifecycle.py::test_a_delete_of_the_earlier_bundle_lets_accepted_work_continue",
        f"{CHAOS}/test_chaos.py::test_paths_that_are_known_to_be_hard_end_right",
    ),
    f"{STACKS}/test_completion.py::test_an_update_in_place_with_the_handle_of_before_signals_nothing": (
        f"{UNIT}/test_delivery.py::test_an_update_in_place_does_not_signal_the_same_handle_again",
    ),
    f"{STACKS}/test_completion.py::test_an_update_in_place_with_the_same_handle_lets_accepted_work_run_on": (
        f"{UNIT}/test_lifecycle.py::test_an_update_in_place_with_the_same_handle_lets_accepted_work_continue",
    ),
    f"{STACKS}/test_completion.py::test_accepted_work_of_the_other_method_ends_in_the_same_way": (
        f"{STACKS}/test_completion.py::test_accepted_work_that_does_not_complete_rolls_back_and_leaves_nothing",
        f"{STACKS}/test_completion.py::test_a_replacement_with_a_new_handle_removes_the_old_bundle_once_there_is_a_new_one",
        f"{UNIT}/test_lifecycle.py::test_each_task_is_dealt_with_by_its_own_method",
        f"{CHAOS}/test_chaos.py::test_paths_that_are_known_to_be_hard_end_right",
    ),
    f"{STACKS}/test_examples.py::test_the_workflow_promotes_no_image_that_fails_its_test_and_keeps_the_one_before": (
        f"{STACKS}/test_examples.py::test_the_pipeline_promotes_no_image_that_fails_its_test",
        f"{STACKS}/test_examples.py::test_the_workflow_promotes_an_image_that_passes_its_test",
    ),
    f"{STACKS}/test_examples.py::test_the_workflow_bundles_nothing_where_the_installation_fails": (
        f"{STACKS}/test_examples.py::test_the_pipeline_promotes_no_image_that_fails_its_test",
        f"{STACKS}/test_examples.py::test_the_workflow_promotes_an_image_that_passes_its_test",
    ),
    f"{STACKS}/test_recursion.py::test_work_of_many_polls_completes_since_the_template_allows_loops": (
        f"{UNIT}/test_template.py::test_each_function_that_polls_reach_may_be_invoked_again_and_again",
        f"{STACKS}/test_store_image.py::test_an_image_is_made_stored_changed_and_removed",
    ),
    f"{STACKS}/test_store_image.py::test_a_change_of_no_reboot_replaces_the_image": (
        f"{UNIT}/test_properties.py::test_a_stored_image_is_named_by_its_name_and_its_instances_running_on",
        f"{STACKS}/test_store_image.py::test_an_image_is_made_stored_changed_and_removed",
    ),
    f"{STACKS}/test_store_image.py::test_on_delete_removes_an_image_whose_object_is_gone": (
        f"{UNIT}/test_store_image.py::test_an_image_can_be_removed_whose_bucket_is_gone",
        f"{STACKS}/test_store_image.py::test_an_image_is_made_stored_changed_and_removed",
    ),
    f"{STACKS}/test_store_image.py::test_an_image_that_hangs_is_given_up_before_cloudformation_does": (
        f"{UNIT}/test_lifecycle.py::test_at_the_deadline_the_task_is_cancelled_and_the_reason_has_its_progress",
        f"{UNIT}/test_lifecycle.py::test_a_delete_that_can_not_end_the_work_in_time_is_failed_and_names_it",
        f"{UNIT}/test_store_image.py::test_an_image_that_is_stored_is_left_to_its_end",
        f"{STACKS}/test_stacks.py::test_a_task_that_does_not_complete_rolls_back_and_leaves_nothing",
    ),
}
