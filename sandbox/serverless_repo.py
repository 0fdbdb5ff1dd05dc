"""The AWS Serverless Application Repository: the part of its API that `sam publish` calls.

CreateApplication, CreateApplicationVersion, UpdateApplication and GetApplication.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.utilities.utils import get_partition
from werkzeug import Request, Response

from sandbox.cloudformation import published_templates
from sandbox.cloudformation.intrinsics import text
from sandbox.cloudformation.templates import capabilities, parse

_SCOPE = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/serverlessrepo/aws4_request")
_PATH = re.compile(
    r"/applications(/(?P<id>arn:.+?:applications/[^/]+)(/versions/(?P<version>.+))?)?"
)
_SHOWN = (
    *("author", "description", "homePageUrl", "labels", "licenseUrl"),
    *("name", "readmeUrl", "spdxLicenseId"),
)
# AWS Serverless Application Repository Developer Guide, Acknowledging Application Capabilities.
_WITH_POLICIES = (
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::IAM::Policy",
    "AWS::Lambda::Permission",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
)


class _Refused(Exception):
    """A request that is answered with an error of the service's."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass
class _Application:
    """An application. versions: as GetApplication gives them, oldest first."""

    shown: dict[str, Any]
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def described(self, version: str | None) -> dict[str, Any]:
        """As GetApplication gives it, with this version, or with its latest one."""
        if version is not None and version not in self.versions:
            raise _Refused(404, "NotFoundException", f"Version {version} does not exist")
        latest = next(reversed(self.versions.values()), None)
        return {**self.shown, "version": latest if version is None else self.versions[version]}


def region_of(environ: Mapping[str, Any]) -> str | None:
    """The region of a request (a WSGI environ) that is signed for this service; else None."""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return scope["region"] if scope else None


class Applications:
    """What has been published, of all regions. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._applications: dict[str, _Application] = {}
        published_templates.forget()

    def serve(self, request: Request, region: str) -> Response:
        """The answer to a request that is for this service in a region.

        Raises NotImplementedError for other calls than `sam publish` makes.
        """
        try:
            with self._lock:
                status, answer = self._answer(request, region)
        except _Refused as refusal:
            body = {"errorCode": refusal.code, "message": str(refusal)}
            headers = {"x-amzn-ErrorType": refusal.code}
            return Response(json.dumps(body), refusal.status, headers, mimetype="application/json")
        return Response(json.dumps(_given(answer)), status, mimetype="application/json")

    def _answer(self, request: Request, region: str) -> tuple[int, dict[str, Any]]:
        place = _PATH.fullmatch(request.path)
        given = request.get_json() if request.content_length else {}
        match request.method, place and place["id"], place and place["version"]:
            case "POST", None, None if place:
                return 201, self._create(region, given)
            case "PUT", str(application_id), str(version):
                return 201, self._add(self._find(application_id), version, given)
            case "PATCH", str(application_id), None:
                return 200, self._update(self._find(application_id), given)
            case "GET", str(application_id), None:
                found = self._find(application_id)
                return 200, found.described(request.args.get("semanticVersion"))
        raise NotImplementedError(request.path)

    def _find(self, application_id: str) -> _Application:
        if application_id not in self._applications:
            message = f"Application with id {application_id} does not exist"
            raise _Refused(404, "NotFoundException", message)
        return self._applications[application_id]

    def _create(self, region: str, given: Mapping[str, Any]) -> dict[str, Any]:
        partition = get_partition(region)
        application_id = (
            f"arn:{partition}:serverlessrepo:{region}:{DEFAULT_ACCOUNT_ID}"
            f":applications/{given['name']}"
        )
        if application_id in self._applications:
            message = f"Application with id {application_id} already exists"
            raise _Refused(409, "ConflictException", message)
        shown = {key: given[key] for key in _SHOWN if key in given}
        _check_artifacts(shown)
        shown |= {
            "applicationId": application_id,
            "creationTime": _now(),
            "isVerifiedAuthor": False,
        }
        made = _Application(shown)
        if "semanticVersion" in given:
            self._add(made, given["semanticVersion"], given)
        self._applications[application_id] = made
        return made.described(None)

    def _add(
        self, application: _Application, version: str, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        application_id = application.shown["applicationId"]
        if version in application.versions:
            message = f"Version {version} of application {application_id} already exists"
            raise _Refused(409, "ConflictException", message)
        template = parse(given["templateBody"])
        _check_artifacts(template)
        application.versions[version] = {
            "applicationId": application_id,
            "semanticVersion": version,
            "creationTime": _now(),
            "parameterDefinitions": [
                _parameter(name, declared)
                for name, declared in (template.get("Parameters") or {}).items()
            ],
            "requiredCapabilities": _required(template),
            "resourcesSupported": True,
            "sourceCodeUrl": given.get("sourceCodeUrl"),
            "templateUrl": published_templates.publish(
                application_id, version, str(uuid.uuid4()), given["templateBody"]
            ),
        }
        return application.versions[version]

    def _update(self, application: _Application, given: Mapping[str, Any]) -> dict[str, Any]:
        changed = {key: given[key] for key in _SHOWN if key in given}
        _check_artifacts(changed)
        application.shown |= changed
        return application.described(None)


def _given(value: Any) -> Any:
    """The value without members that are None, which are left out of answers."""
    if isinstance(value, dict):
        return {key: _given(each) for key, each in value.items() if each is not None}
    return [_given(each) for each in value] if isinstance(value, list) else value


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _required(template: Mapping[str, Any]) -> list[str]:
    kinds = {resource.get("Type") for resource in (template.get("Resources") or {}).values()}
    nested = kinds & {"AWS::Serverless::Application", "AWS::CloudFormation::Stack"}
    return [
        *capabilities(template),
        *(["CAPABILITY_RESOURCE_POLICY"] if kinds & {*_WITH_POLICIES} else []),
        *(["CAPABILITY_AUTO_EXPAND"] if nested else []),
    ]


def _parameter(name: str, declared: Mapping[str, Any]) -> dict[str, Any]:
    default = {"defaultValue": text(declared["Default"])} if "Default" in declared else {}
    kind, description = declared.get("Type", "String"), declared.get("Description")
    shown = {"name": name, "type": kind, "description": description, **default}
    return {**shown, "referencedByResources": []}


def _check_artifacts(value: Any) -> None:
    """Check that all objects are there that `s3://` URLs name."""
    buckets = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    for bucket, key in _artifacts(value):
        if bucket not in buckets.buckets or buckets.get_object(bucket, key) is None:
            message = f"Failed to copy S3 object. Access denied: bucket={bucket}, key={key}"
            raise _Refused(400, "BadRequestException", message)


def _artifacts(value: Any) -> Iterator[tuple[str, str]]:
    """Bucket and key of each `s3://` URL."""
    if isinstance(value, str) and value.startswith("s3://"):
        bucket, _, key = value.removeprefix("s3://").partition("/")
        yield bucket, key
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _artifacts(each)
