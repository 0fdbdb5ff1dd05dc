"""Parameters of Systems Manager that hold the ID of an image, which are validated later.

"The aws:ec2:image value is validated asynchronously, and the PutParameter call returns before the
validation is complete. If you submit an invalid AMI value, the PutParameter operation will return
success, but the asynchronous validation will fail and the parameter will not be created or updated"
(https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html).
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ssm.models import Parameter, SimpleSystemManagerBackend
from moto.ssm.responses import SimpleSystemManagerResponse

from sandbox.ec2 import history, images

Clock = Callable[[], float]

_DATA_TYPE = "aws:ec2:image"


@dataclass(frozen=True, slots=True)
class Unvalidated:
    """A version of a parameter that is not validated yet.

    Attributes:
        due: when it will be, epoch seconds.
    """

    parameter: Parameter
    ssm: SimpleSystemManagerBackend
    due: float


class ImageParameters:
    """The parameters of all accounts and Regions that are not validated yet.

    Args:
        clock: epoch seconds.
        delay: seconds until a parameter is validated, by what is described then.
    """

    def __init__(self, clock: Clock, delay: float) -> None:
        self._clock = clock
        self._delay = delay
        self._unvalidated: list[Unvalidated] = []

    def hold_back(self, ssm: SimpleSystemManagerBackend, name: str) -> None:
        """Take back the latest version of a parameter until it is validated."""
        versions = ssm._parameters[name]
        self._unvalidated.append(Unvalidated(versions.pop(), ssm, self._clock() + self._delay))
        if not versions:
            del ssm._parameters[name]

    def advance(self) -> None:
        """Validate what is due, and keep the versions that are valid."""
        now = self._clock()
        due = [each for each in self._unvalidated if each.due <= now]
        self._unvalidated = [each for each in self._unvalidated if each.due > now]
        for each in due:
            if self._is_valid(each):
                versions = each.ssm._parameters[each.parameter.name]
                each.parameter.version = versions[-1].version + 1 if versions else 1
                versions.append(each.parameter)

    def _is_valid(self, each: Unvalidated) -> bool:
        images.of(each.ssm.account_id, each.ssm.region_name, self._clock).advance()
        ec2 = ec2_backends[each.ssm.account_id][each.ssm.region_name]
        described = history.of_backend(ec2).at(each.due - self._delay)
        image = described.amis.get(each.parameter.value)
        return image is not None and image.state == "available"


def install(clock: Clock, delay: float) -> ExitStack:
    """Have PutParameter validate images later, until the result is closed."""
    installed = ExitStack()
    parameters = ImageParameters(clock, delay)
    put_parameter = SimpleSystemManagerResponse.put_parameter
    call_action = SimpleSystemManagerResponse.call_action

    def put(response: SimpleSystemManagerResponse) -> ActionResult:
        answer = put_parameter(response)
        if response._get_param("DataType", "text") == _DATA_TYPE:
            parameters.hold_back(response.ssm_backend, response._get_param("Name"))
        return answer

    def call(response: SimpleSystemManagerResponse) -> Any:
        parameters.advance()
        return call_action(response)

    installed.enter_context(patch.object(SimpleSystemManagerResponse, "put_parameter", put))
    installed.enter_context(patch.object(SimpleSystemManagerResponse, "call_action", call))
    return installed
