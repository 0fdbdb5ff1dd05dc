"""Which test types each block of commands of the pages, as `tests/stacks/pages.py` finds them.

A new block needs an entry here, and a test that types it as it is there.
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
_PIPELINE = "tests/stacks/test_pages.py::test_the_commands_of_the_pipeline"
_QUICK_START = "tests/clients/test_quick_start.py::test_from_a_clone_to_a_stack_with_only_the_pages"
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

_NOT_YET = ""
"""No test types the block as it is there: the inventory names these blocks."""

TYPED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "README.md": {"Quick start": (_QUICK_START, _NOT_YET, _QUICK_START)},
    "docs/command.md": {
        "The operators' command": (_NOT_YET,),
        "What is in flight": (_TRANSCRIPT,),
        "Why a stack waits": (_TRANSCRIPT, _TRANSCRIPT),
        "What an update will do": (_EXAMPLES, _TRANSCRIPT),
        "What a stack has made": (_TRANSCRIPT,),
        "What no stack has": (_TRANSCRIPT,),
        "Free a location": (_TRANSCRIPT,),
        "Whether it is healthy": (_DOCTOR,),
    },
    "docs/deploying.md": {
        "With SAM CLI": (_NOT_YET,),
        "Through the Serverless Application Repository": (_NOT_YET,),
    },
    "docs/events.md": {"Events of EC2 and S3": (_EVENTBRIDGE,)},
    "docs/installations.md": {
        "Upgrade": (_UPGRADED,),
        "Move a stack": (_MOVED,) * 2,
        "Restore the ledger": (_RESTORED,) * 5,
        "Uninstall": (_UNINSTALLED,) * 4,
    },
    "docs/local.md": {
        "See it work": (_NOT_YET,),
        "Invoke the functions": (_NOT_YET, _NOT_YET),
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
    "docs/security.md": {"Change the key": (_TABLES,), "Who can read the ledger": (_TABLES,)},
    "docs/storage.md": {
        "Upload policies": (_TABLES,),
        "Restore a stored image": (_RESTORED_IMAGE,),
    },
    "examples/README.md": {
        "One resource": (_EXAMPLES, _RESTORED_IMAGE, _EXAMPLES, _EXAMPLES, _EXAMPLES),
        "An image for each commit": (_PIPELINE,) * 3,
    },
    "sandbox/README.md": {"The sandbox": (_QUICK_START, _NOT_YET), "Faults": (_NOT_YET,)},
}
"""The tests, by page and heading, in the order of the blocks below the heading."""


def claims() -> Iterator[tuple[tuple[str, str, int], str]]:
    """The place of each block that a test types, and the test."""
    for page, headings in TYPED.items():
        for heading, tests in headings.items():
            for number, test in enumerate(tests):
                if test:
                    yield (page, heading, number), test


def not_yet() -> set[tuple[str, str, int]]:
    """The places of the blocks that no test types as they are there."""
    return {
        (page, heading, number)
        for page, headings in TYPED.items()
        for heading, tests in headings.items()
        for number, test in enumerate(tests)
        if test == _NOT_YET
    }


def claimed(test: str) -> set[tuple[str, str, int]]:
    """The places of the blocks that a test types.

    Args:
        test: the end of its ID.
    """
    return {place for place, typing in claims() if typing.endswith(test)}
