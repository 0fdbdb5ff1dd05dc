"""Which test types each block of commands of the pages, as `tests/stacks/pages.py` finds them.

A new block needs an entry here, and a test that types it as it is there. Its IDs and names are
replaced by those of the test, as docs/local.md says; what else is replaced is said here.
"""

from collections.abc import Iterator, Mapping

from tests.stacks.pages import RUNBOOK

_ALARMS = "tests/stacks/test_alarms.py::test_each_alarm_fires_and_clears"
_DOCTOR = "tests/stacks/test_doctor.py::test_the_transcript_in_the_docs_is_what_the_command_writes"
_MOVED = "tests/stacks/test_moved_stacks.py::test_a_stack_that_is_moved_makes_a_bundle_of_its_own"
_RESTORED = (
    "tests/stacks/test_restored_ledger.py"
    "::test_what_a_restored_ledger_does_not_have_is_never_removed"
)
_RUNBOOK = "tests/stacks/test_runbook.py::test_each_way_leads_out_of_each_state_of_failure"
_RESTORED_IMAGE = "tests/stacks/test_pages.py::test_a_stored_image_is_restored_by_the_command"
_EXAMPLES = "tests/stacks/test_pages.py::test_the_commands_of_the_examples"
_RECORDED = "tests/tools/test_record.py::test_each_phase_is_recorded_to_its_end"
_SMOKE = "tests/tools/test_record.py::test_an_image_is_stored_and_everything_is_deleted"
_CLEANED = (
    "tests/tools/test_record.py::test_what_killed_runs_left_is_deleted_later_and_nothing_else"
)
"""These are typed with options that suit the sandbox, and write into a directory of the test's."""
_PIPELINE = "tests/stacks/test_pages.py::test_the_commands_of_the_pipeline"
_QUICK_START = "tests/clients/test_quick_start.py::test_from_a_clone_to_a_stack_with_only_the_pages"
_OWN_RESOURCE = (
    "tests/stacks/test_own_resource.py::test_a_custom_resource_is_developed_with_only_the_read_me"
)
"""With a free port, which the first command does not name."""
_TABLES = "tests/stacks/test_pages.py::test_the_commands_about_tables_and_secrets"
_TRANSCRIPT = "tests/cli/test_transcripts.py::test_a_transcript_is_what_the_command_writes"
_EVENTBRIDGE = (
    "tests/stacks/test_event_permissions.py"
    "::test_the_pages_commands_add_eventbridge_to_what_the_bucket_has"
)
_UPGRADED = (
    "tests/stacks/test_upgrade.py::test_work_of_every_kind_goes_on_over_an_update_of_the_code"
)
_UNINSTALLED = (
    "tests/stacks/test_uninstalled.py"
    "::test_stacks_that_need_the_application_are_found_before_it_is_uninstalled"
)

_CDK = "tests/stacks/test_cdk.py::test_the_commands_of_the_read_me_deploy_the_stack"
_RELEASE = (
    "tests/clients/test_aws_cli.py"
    "::test_a_release_is_deployed_with_aws_cli_alone_and_stores_an_image"
)
_CHECKSUMS = "tests/tools/test_release.py::test_all_files_have_checksums"
_PUBLISHED = "tests/clients/test_publish.py::test_the_application_is_published_twice"
_SAM_LOCAL = "tests/clients/test_sam_local.py::test_a_bundle_lives_from_create_to_delete"
"""With the sandbox at an address that containers reach on Linux, as the page says below."""
_COMMAND = "tests/cli/test_package.py::test_the_package_has_the_command_and_what_it_imports"
_RULES = "tests/cli/test_package.py::test_the_rules_need_cfn_lint_and_nothing_else"
"""uv builds and unpacks the wheel, in place of pipx and pip, which would download requirements."""

TYPED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "README.md": {"Quick start": (_QUICK_START,) * 3},
    "docs/command.md": {
        "The operators' command": (_COMMAND,),
        "What is in flight": (_TRANSCRIPT,),
        "Why a stack waits": (_TRANSCRIPT, _TRANSCRIPT),
        "What an update will do": (_EXAMPLES, _TRANSCRIPT),
        "What a stack has made": (_TRANSCRIPT,),
        "What no stack has": (_TRANSCRIPT,),
        "Free a location": (_TRANSCRIPT,),
        "Whether it is healthy": (_DOCTOR,),
    },
    "docs/deploying.md": {
        "With SAM CLI": (_QUICK_START,),
        "Without SAM CLI": (_RELEASE,) * 2,
        "Through the Serverless Application Repository": (_PUBLISHED,),
        "What a release contains": (_CHECKSUMS,),
    },
    "docs/events.md": {"Events of EC2 and S3": (_EVENTBRIDGE,)},
    "docs/installations.md": {
        "Upgrade": (_UPGRADED,),
        "Move a stack": (_MOVED,) * 2,
        "Restore the ledger": (_RESTORED,) * 5,
        "Uninstall": (_UNINSTALLED,) * 4,
    },
    "docs/lint.md": {"Switch the rules on": (_RULES,)},
    "docs/local.md": {
        "See it work": (_QUICK_START,),
        "Invoke the functions": (_SAM_LOCAL,) * 2,
    },
    RUNBOOK: {
        "Before you start": (_RUNBOOK,),
        "Find the Reason": (_RUNBOOK,),
        "Wait for work": (_RUNBOOK,),
        "Deploy again": (_RUNBOOK,) * 2,
        "Delete again": (_RUNBOOK,) * 2,
        "Continue the rollback": (_RUNBOOK,) * 2,
        "Set a parameter": (_RUNBOOK,),
        "Read the logs": (_RUNBOOK,),
        "Alarms": (_RUNBOOK,),
        "DeadLettersAnsweredAlarm": (_ALARMS,),
        "DeadLetterWaitsAlarm": (_ALARMS,),
        "LastResortFailedAlarm": (_ALARMS,),
        "LoopStoppedAlarm": (_ALARMS,),
        "LastResortStoppedAlarm": (_ALARMS,),
        "EventsRefusedAlarm": (_ALARMS,),
    },
    "docs/recording.md": {
        "Record the phases": (_RECORDED,),
        "Run the smoke test": (_SMOKE,),
        "Delete what was left": (_CLEANED,),
    },
    "docs/security.md": {"Change the key": (_TABLES,), "Who can read the ledger": (_TABLES,)},
    "docs/storage.md": {
        "Upload policies": (_TABLES,),
        "Restore a stored image": (_RESTORED_IMAGE,),
    },
    "examples/README.md": {
        "One resource": (_EXAMPLES, _RESTORED_IMAGE, _EXAMPLES, _EXAMPLES, _EXAMPLES),
        "An image for each commit": (_PIPELINE,) * 3,
        "With the AWS CDK": (_CDK,),
    },
    "sandbox/README.md": {
        "Getting started": (_QUICK_START,) * 2,
        "Develop a custom resource": (_OWN_RESOURCE,) * 4,
        "Faults": (_QUICK_START,),
    },
}
"""The tests, by page and heading, in the order of the blocks below the heading."""


def claims() -> Iterator[tuple[tuple[str, str, int], str]]:
    """The place of each block that a test types, and the test."""
    for page, headings in TYPED.items():
        for heading, tests in headings.items():
            for number, test in enumerate(tests):
                yield (page, heading, number), test


def claimed(test: str) -> set[tuple[str, str, int]]:
    """The places of the blocks that a test types.

    Args:
        test: the end of its ID.
    """
    return {place for place, typing in claims() if typing.endswith(test)}
