"""What it means if AWS refuses a call, or fails at it: one table, by the call's purpose and AWS's
error code.

The first row that matches counts. A transient error is retried at each call. A refusal is final
only where nothing is lost by it:

* nothing was started yet, so that the stack can fail at once;
* something is to be removed, and must not be taken for removed.

If a step after successful work is refused, it is retried until the deadline (`Refused`). So is a
refused read, or a refused call that saves progress, while work runs. Where no work runs they are
final as soon as they are repeated (`Doubtful`), and so is each code that can mean both "not visible
yet" and "gone".
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from instance_bundle.aws import advice
from instance_bundle.aws.calls import CALLS, Purpose
from instance_bundle.errors import (
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
        means: creates the exception to raise.
        pattern: matches further codes.
    """

    purposes: Collection[Purpose]
    codes: Collection[str]
    means: Callable[[Denied], InstanceBundleError]
    pattern: str = ""

    def fits(self, purpose: Purpose, code: str) -> bool:
        """Whether the row matches this code of a call with this purpose."""
        if self.purposes and purpose not in self.purposes:
            return False
        if not self.codes and not self.pattern:
            return True
        return code in self.codes or bool(self.pattern and re.search(self.pattern, code))


# Throttling in the SDKs' standard retry mode (AWS SDKs and Tools Reference Guide, Retry behavior),
# and EC2's codes; the pattern also matches KMS's, which SQS, S3 and others pass on (Amazon SQS API
# Reference, SendMessage).
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
# Transient errors with a status below 500 (Amazon S3 API Reference, Error responses; Amazon SQS API
# Reference, ReceiveMessage; Amazon DynamoDB Developer Guide, Error handling, "OK to retry";
# EventBridge API Reference, PutEvents). The answer to a HEAD request has no body with a code: 400
# may be RequestTimeout. The next execution environment has new credentials after these expired.
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
# Also the answer about an instance that was just launched (EC2 API Reference, Error codes).
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
# A call that is refused because of its own parameters, or of what it is about, stays refused.
_UNCHANGEABLE = (
    r"^(InvalidAMIName|InvalidBlockDeviceMapping|InvalidInput|InvalidManifest|InvalidParameter|"
    r"InvalidTag|MalformedQueryString|MissingParameter|OperationNotPermitted|TagLimitExceeded|"
    r"UnknownParameter|Unsupported|ValidationError)"
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
_THROTTLING = Row((), _THROTTLED, _throttled, pattern="Throttl")

TABLE = (
    _THROTTLING,
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
    Row([Purpose.SAVE], advice.PERMISSION_CODES, Doubtful),
    Row([Purpose.SAVE], _ANY, _final),
    Row([Purpose.PUBLISH], _ANY, _final),
)
"""The table; a server error (status 500 or higher) is transient, whatever its code is."""


def meaning(call: str, code: str, message: str, status: int = 0) -> InstanceBundleError:
    """What an error that AWS answered means, as the exception to raise.

    Args:
        call: the call, such as `s3:HeadObject`.
        code: AWS's error code.
        message: AWS's message.
        status: the HTTP status; 0 where the error is part of a successful answer.
    """
    refused = denied(call, code, message)
    row = next(row for row in TABLE if row.fits(CALLS[call].purpose, code))
    found = row.means(refused)
    return _passing(refused) if status >= 500 and not isinstance(found, Throttled) else found


def is_throttling(code: str) -> bool:
    """Whether an error code means that AWS throttled the call."""
    return _THROTTLING.fits(Purpose.READ, code)


def denied(call: str, code: str, message: str) -> Denied:
    """A final refusal, with what to do about it; arguments as for `meaning`."""
    return Denied(call, code, message, advice.on(call, code, message))
