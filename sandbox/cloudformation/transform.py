"""The SAM transform, done by AWS's own translator."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from threading import Lock
from typing import Any

from boto3 import Session
from moto.cloudformation.exceptions import ValidationError
from moto.utilities.utils import get_partition
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.plugins.application.serverless_app_plugin import ServerlessAppPlugin
from samtranslator.translator.translator import Translator

from sandbox.cloudformation.published_templates import Repository

SAM_TRANSFORM = "AWS::Serverless-2016-10-31"

# Under arn:…:iam::aws:policy/. The real transform asks IAM for all managed policies; these are the
# ones that functions name in practice. A policy that is not here must be named by its ARN.
_MANAGED_POLICIES = (
    "AWSLambdaExecute",
    "AWSXrayWriteOnlyAccess",
    "AmazonDynamoDBFullAccess",
    "AmazonDynamoDBReadOnlyAccess",
    "AmazonEC2FullAccess",
    "AmazonEC2ReadOnlyAccess",
    "AmazonS3FullAccess",
    "AmazonS3ReadOnlyAccess",
    "AmazonSQSFullAccess",
    "service-role/AWSLambdaBasicExecutionRole",
    "service-role/AWSLambdaDynamoDBExecutionRole",
    "service-role/AWSLambdaSQSQueueExecutionRole",
    "service-role/AWSLambdaVPCAccessExecutionRole",
)

# The translator keeps its region and its metrics in class attributes.
_translator = Lock()


def transform(
    template: dict[str, Any], parameters: Mapping[str, str], region: str, account: str
) -> dict[str, Any]:
    """`template` with its ``AWS::Serverless::*`` resources as CloudFormation ones.

    Parameters and conditions stay unresolved, as in the real transform. No AWS call is made. Raises
    ValidationError with the translator's messages for an invalid document.
    """
    values = {**parameters, "AWS::AccountId": account}
    with _translator:
        translator = Translator(
            _managed_policies(region),
            Parser(),
            plugins=[ServerlessAppPlugin(sar_client=Repository(), parameters=values)],
            boto_session=Session(region_name=region),
        )
        try:
            processed: dict[str, Any] = translator.translate(copy.deepcopy(template), values)
        except InvalidDocumentException as problem:
            reasons = " ".join(cause.message for cause in problem.causes)
            raise ValidationError(
                message=f"Transform {SAM_TRANSFORM} failed with: {problem.message} {reasons}"
            ) from problem
        finally:
            translator.metrics.publish()  # to nowhere, but it complains of what is not published
    return processed


def _managed_policies(region: str) -> dict[str, str]:
    return {
        policy.rpartition("/")[2]: f"arn:{get_partition(region)}:iam::aws:policy/{policy}"
        for policy in _MANAGED_POLICIES
    }
