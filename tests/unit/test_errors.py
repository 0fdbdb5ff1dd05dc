"""What the Reasons say."""

import pytest

from instance_bundle.aws import refusals
from instance_bundle.errors import DeadlineExceeded, NotRegistered, Timeout
from instance_bundle.settings import identity


@pytest.mark.parametrize(
    ("code", "message", "advice"),
    [
        ("InvalidInstanceID.NotFound", "No such.", "check the ID"),
        ("IncorrectInstanceState", "Stopped.", "must be running"),
        ("BundlingInProgress", "Busy.", "can have one bundle task at a time"),
        ("UnauthorizedOperation", "You may not.", "Allow ec2:BundleInstance in the role"),
        ("UnsupportedOperation", "No.", "Method: StoreImage"),
        ("InvalidAction", "No longer valid.", "Method: StoreImage"),
        ("InvalidRequest", "BundleInstance is no longer supported.", "Method: StoreImage"),
        ("OperationNotPermitted", "Not applicable for EBS.", "Method: StoreImage"),
        ("SomethingNew", "Who knows.", "Method: StoreImage"),
    ],
)
def test_a_refusal_of_bundle_instance_has_code_message_and_what_to_do(
    code: str, message: str, advice: str
) -> None:
    reason = str(refusals.denied("ec2:BundleInstance", code, message))

    assert reason.startswith(f"ec2:BundleInstance was refused. {code}: {message} ")
    assert advice in reason


def test_a_refusal_of_another_call_names_the_action_that_was_denied() -> None:
    reason = str(refusals.denied("dynamodb:PutItem", "AccessDeniedException", "No"))

    assert "Allow dynamodb:PutItem in the role of the function" in reason
    assert "StoreImage" not in reason


def test_a_key_that_the_role_may_not_use_is_given_by_a_parameter() -> None:
    words = "You are not authorized to perform: kms:Decrypt on resource: arn:aws:kms:…:key/1"

    reason = str(refusals.denied("ec2:CreateStoreImageTask", "UnauthorizedOperation", words))

    assert "in the application's parameter ImageKmsKeyArns, and let the role" in reason
    assert "Allow ec2:CreateStoreImageTask" not in reason


def test_an_instance_store_is_not_sent_to_the_method_that_does_not_take_it() -> None:
    reason = str(refusals.denied("ec2:BundleInstance", "Unsupported", "No longer supported."))

    assert "StoreImage` works on AWS today, for HVM instances with an EBS root volume." in reason


def test_what_only_a_program_can_read_of_ec2s_refusal_is_left_out() -> None:
    words = "You may not do this. Encoded authorization failure message: " + "4Wa0" * 200

    reason = str(refusals.denied("ec2:CreateImage", "UnauthorizedOperation", words))

    assert "UnauthorizedOperation: You may not do this. Allow ec2:CreateImage in" in reason
    assert "4Wa0" not in reason


def test_a_denial_says_whose_permission_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "AWS_LAMBDA_FUNCTION_NAME": "bundles",
        "ROLE": "bundles-role-1",
        "INSTALLATION": "our-bundles",
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    identity.cache_clear()

    reason = str(refusals.denied("s3:HeadObject", "403", "Forbidden"))
    identity.cache_clear()

    assert reason == (
        "s3:HeadObject was refused. 403: Forbidden. Allow s3:GetObject in the role bundles-role-1 "
        "of the function bundles (application our-bundles), and in its boundaries and SCPs."
    )


@pytest.mark.parametrize(
    ("timeout", "advice"),
    [
        (
            Timeout("ServiceTimeout", 600),
            (
                "Raise ServiceTimeout (3600 s at most), use a CompletionHandle for work of up to "
                "12 hours, or bundle a smaller volume."
            ),
        ),
        (
            Timeout("CompletionTimeout", 7200),
            "Raise CompletionTimeout (43200 s at most), or bundle a smaller volume.",
        ),
    ],
)
def test_a_timeout_names_the_property_that_gives_more_time(timeout: Timeout, advice: str) -> None:
    assert str(DeadlineExceeded(timeout, "task bun-1 is bundling")) == (
        f"Not complete within {timeout.property} ({timeout.seconds} s): task bun-1 is bundling. "
        f"{advice}"
    )


def test_an_ami_name_that_is_taken_is_refused_with_what_to_do() -> None:
    reason = str(refusals.denied("ec2:RegisterImage", "InvalidAMIName.Duplicate", "web is in use"))

    assert reason.startswith("ec2:RegisterImage was refused. InvalidAMIName.Duplicate: web is in ")
    assert "Image.Name: AMI names are unique" in reason


def test_a_bundle_without_its_ami_is_reported_with_its_location() -> None:
    denied = refusals.denied("ec2:RegisterImage", "UnauthorizedOperation", "You may not.")

    reason = str(NotRegistered("bun-1", "s3://images/web", str(denied)))

    assert reason.startswith(
        "Image: the bundle bun-1 is complete and kept at s3://images/web, but no AMI could be "
    )
    assert "Allow ec2:RegisterImage in the role of the function" in reason


def test_a_refusal_names_the_parameter_of_the_application_that_would_allow_it() -> None:
    reason = str(refusals.denied("ec2:RegisterImage", "UnauthorizedOperation", "You may not."))

    assert reason.endswith("The application's parameter AllowImages grants it.")
    assert "AllowImages" not in str(refusals.denied("ec2:RegisterImage", "InvalidManifest", "No."))
    assert "AllowImages" not in str(refusals.denied("sqs:SendMessage", "AccessDenied", "No."))
