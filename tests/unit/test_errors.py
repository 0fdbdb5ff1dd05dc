"""What a person is told."""

import pytest

from instance_bundle.errors import Denied


@pytest.mark.parametrize(
    ("code", "message", "advice"),
    [
        ("InvalidInstanceID.NotFound", "No such.", "check the ID"),
        ("IncorrectInstanceState", "Stopped.", "must be running"),
        ("BundlingInProgress", "Busy.", "one bundle task at a time"),
        ("UnauthorizedOperation", "You may not.", "Allow ec2:BundleInstance in the role"),
        ("UnsupportedOperation", "No.", "Method: StoreImage"),
        ("InvalidAction", "No longer valid.", "Method: StoreImage"),
        ("InvalidRequest", "BundleInstance is no longer supported.", "Method: StoreImage"),
        ("OperationNotPermitted", "Not applicable for EBS.", "Method: StoreImage"),
        ("SomethingNew", "Who knows.", "Method: StoreImage"),
    ],
)
def test_a_refusal_of_bundle_instance_tells_code_message_and_what_to_do(
    code: str, message: str, advice: str
) -> None:
    reason = str(Denied("ec2:BundleInstance", code, message))

    assert reason.startswith(f"ec2:BundleInstance was refused. {code}: {message} ")
    assert advice in reason


def test_a_refusal_of_another_call_tells_the_action_that_was_denied() -> None:
    reason = str(Denied("dynamodb:PutItem", "AccessDeniedException", "No"))

    assert "Allow dynamodb:PutItem in the role of the function" in reason
    assert "StoreImage" not in reason
