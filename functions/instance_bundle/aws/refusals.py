"""What it means that AWS refuses a call, or fails at it: one table, by what the call is for and by
AWS's code.

The first row that fits counts. What passes is waited out, at each call; a refusal is an answer only
where nothing is lost by it:

* nothing was started yet, so that the stack may fail at once;
* something is to be removed, and what is refused must not be taken for removed.

A refused step after good work waits until the deadline (`Refused`), and so does a refused read, or
one that saves progress, while work runs. Where none runs these need not be waited for so long: they
are believed when they are repeated (`Doubtful`), as is each code that can mean both "not visible
yet" and "gone".
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from instance_bundle.aws import advice
from instance_bundle.aws.calls import CALLS, Purpose
from instance_bundle.errors import (
    PERMISSION_CODES,
    Denied,
    Doubtful,
    Gone,
    InstanceBundleError,
    PassingFault,
    Refused,
    Throttled,
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Attributes:
        purposes: what the call is for; empty for any call.
        codes: AWS's codes; empty for any code.
        means: makes what is raised.
        pattern: of further codes.
    """

    purposes: Collection[Purpose]
    codes: Collection[str]
    means: Callable[[Denied], InstanceBundleError]
    pattern: str = ""

    def fits(self, purpose: Purpose, code: str) -> bool:
        """Whether the row is about a code of a call that has this purpose."""
        if self.purposes and purpose not in self.purposes:
            return False
        if not self.codes and not self.pattern:
            return True
        return code in self.codes or bool(self.pattern and re.search(self.pattern, code))


# The codes that the SDKs' standard retry mode takes for throttling (AWS SDKs and Tools Reference
# Guide, Retry behavior), and EC2's; by the pattern also KMS's, as SQS, S3 and others have them
# (Amazon SQS API Reference, SendMessage).
_THROTTLED = {
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "SlowDown",
    "SnapshotCreationPerVolumeRateExceeded",
    "TooManyRequestsException",
    "TransactionInProgressException",
}
# What passes although its status is below 500 (Amazon S3 API Reference, Error responses; Amazon SQS
# API Reference, ReceiveMessage; Amazon DynamoDB Developer Guide, Error handling, "OK to retry";
# EventBridge API Reference, PutEvents). The answer to a HEAD request has no body with a code: 400
# may be RequestTimeout. Credentials that have expired are new in the next execution environment.
_PASSING = {
    "400",
    "409",
    "ConcurrentModificationException",
    "ConditionalRequestConflict",
    "ExpiredToken",
    "ExpiredTokenException",
    "InternalError",
    "InternalException",
    "InternalFailure",
    "ItemCollectionSizeLimitExceededException",
    "OperationAborted",
    "OverLimit",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "RequestTimeout",
    "RequestTimeoutException",
    "UnrecognizedClientException",
}
# "Wait …, then retry" (EC2 API Reference, Error codes).
_LATER = {
    "ConcurrentCreateImageNoRebootLimitExceeded",
    "ConcurrentSnapshotLimitExceeded",
    "ConcurrentTagAccess",
    "PendingSnapshotLimitExceeded",
}
# What an instance that was just launched answers, too (EC2 API Reference, Error codes).
_NO_INSTANCE = {"InvalidInstanceID.NotFound"}
_GONE = {
    "InvalidAMIID.NotFound",
    "InvalidAMIID.Unavailable",
    "InvalidBundleID.NotFound",
    "InvalidSnapshot.NotFound",
    "NoSuchBucket",
    "NoSuchKey",
}
_IN_USE = {"InvalidSnapshot.InUse"}
# What is refused for what the request says stays refused.
_UNCHANGEABLE = (
    r"^(InvalidAMIName|InvalidBlockDeviceMapping|InvalidInput|InvalidManifest|InvalidParameter|"
    r"InvalidTag|MalformedQueryString|MissingParameter|TagLimitExceeded|UnknownParameter|"
    r"Unsupported|ValidationError)"
)


def _passing(denied: Denied) -> PassingFault:
    return PassingFault(f"{denied.call}: {denied.code}")


def _throttled(denied: Denied) -> Throttled:
    return Throttled(f"{denied.call}: {denied.code}")


def _gone(denied: Denied) -> Gone:
    return Gone(denied.call, denied.code, denied.message, denied.advice)


def _final(denied: Denied) -> Denied:
    return denied


_ANY: Collection[str] = ()

TABLE = (
    Row((), _THROTTLED, _throttled, pattern="Throttl"),
    Row((), _PASSING, _passing),
    Row([Purpose.START, Purpose.GO_ON, Purpose.REPAIR, Purpose.REMOVE], _LATER, Refused),
    Row([Purpose.START], _NO_INSTANCE, Doubtful),
    Row([Purpose.START], _ANY, _final),
    Row([Purpose.GO_ON], _ANY, _final, pattern=_UNCHANGEABLE),
    Row([Purpose.GO_ON], _ANY, Refused),
    Row([Purpose.READ], _ANY, Doubtful),
    Row([Purpose.REPAIR], _GONE, _gone),
    Row([Purpose.REPAIR], _ANY, Refused),
    Row([Purpose.REMOVE], _GONE, _gone),
    Row([Purpose.REMOVE], _IN_USE, Refused),
    Row([Purpose.REMOVE], _ANY, _final),
    Row([Purpose.SAVE], PERMISSION_CODES, Doubtful),
    Row([Purpose.SAVE], _ANY, _final),
    Row([Purpose.TELL], _ANY, _final),
)
"""The table; a server's own fault, of a status from 500 on, passes whatever its code is."""


def meaning(call: str, code: str, message: str, status: int = 0) -> InstanceBundleError:
    """What an error that AWS answered means, as the exception to raise.

    Args:
        call: the call, such as `s3:HeadObject`.
        code: AWS's error code.
        message: AWS's words.
        status: of HTTP; 0 where the error is part of an answer that succeeded.
    """
    refused = denied(call, code, message)
    row = next(row for row in TABLE if row.fits(CALLS[call].purpose, code))
    found = row.means(refused)
    return _passing(refused) if status >= 500 and not isinstance(found, Throttled) else found


def denied(call: str, code: str, message: str) -> Denied:
    """A refusal for good, with what to do about it; arguments as for `meaning`."""
    return Denied(call, code, message, advice.on(call, code, message))
