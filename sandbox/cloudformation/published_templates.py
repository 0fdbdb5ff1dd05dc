"""Templates of applications in the Serverless Application Repository, as nested stacks find them.

A template with an ``AWS::Serverless::Application`` is transformed by asking the repository for a
URL of the application's template, CreateCloudFormationTemplate
(https://docs.aws.amazon.com/serverlessrepo/latest/devguide/applications-applicationid-templates.html).
"""

from __future__ import annotations

import threading
from typing import Any

from botocore.exceptions import ClientError

_HOST = "https://sandbox.invalid/"
_lock = threading.Lock()
_bodies: dict[str, str] = {}
_urls: dict[tuple[str, str], str] = {}


def publish(application_id: str, version: str, key: str, body: str) -> str:
    """Keep a version's template; returns its URL."""
    url = f"{_HOST}{key}"
    with _lock:
        _bodies[url] = body
        _urls[application_id, version] = url
    return url


def body_of(url: str) -> str | None:
    """The template at a URL; None where it is not one of these."""
    with _lock:
        return _bodies.get(url)


def forget() -> None:
    """Forget all templates."""
    with _lock:
        _bodies.clear()
        _urls.clear()


class Repository:
    """What the transform asks, in the place of a client of the repository's."""

    def create_cloud_formation_template(self, **version: str) -> dict[str, Any]:
        """The URL of a version's template, which is ready at once. Raises ClientError.

        version: ApplicationId and SemanticVersion.
        """
        with _lock:
            url = _urls.get((version["ApplicationId"], version["SemanticVersion"]))
        if url is None:
            message = f"Application with id {version['ApplicationId']} does not exist"
            error = {"Error": {"Code": "NotFoundException", "Message": message}}
            raise ClientError(error, "CreateCloudFormationTemplate")  # type: ignore[arg-type]
        return {
            **version,
            "Status": "ACTIVE",
            "TemplateId": url.removeprefix(_HOST),
            "TemplateUrl": url,
        }
