"""cfn-handler answers the last poll before it removes the rule and the permission for polls.

Once the answer is sent, CloudFormation may delete the function and its role, if they are in the
same stack: then the rule stays, and runs each minute for a function that is gone.

    .venv-judges/bin/python tests/judges/reproducers/answers_first.py
"""

import importlib
import sys
from types import SimpleNamespace
from typing import Any

EVENT = {
    "RequestType": "Delete",
    "ResponseURL": "https://example.com/",
    "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/one/two",
    "RequestId": "three",
    "LogicalResourceId": "Thing",
    "PhysicalResourceId": "thing",
    "CfnHandlerPoll": True,
    "CfnHandlerRule": "arn:aws:events:us-east-1:123456789012:rule/Thing",
    "CfnHandlerPermission": "Thing",
}


def main() -> None:
    """Print what it does in the last poll, in order."""

    def say(what: str) -> Any:
        return lambda *_: sys.stdout.write(f"{what}\n")

    resource = importlib.import_module("cfn_handler").CustomResource(
        transport=say("answers CloudFormation"), teardown_poller=say("removes the rule")
    )
    resource.poll_delete(lambda *_: {})
    context = SimpleNamespace(
        aws_request_id="four",
        function_name="function",
        get_remaining_time_in_millis=lambda: 60_000,
    )
    resource(EVENT, context)


if __name__ == "__main__":
    main()
