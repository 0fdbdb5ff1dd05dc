"""DeleteObjects of Amazon S3, which answers for each object by itself.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from werkzeug import Response

from sandbox.authorization.demand import Demand
from sandbox.calls.api_calls import ServiceError, read_body
from sandbox.faults.faulty_app import Wsgi

_OBJECT = re.compile(r"<Object>.*?</Object>", re.DOTALL)
_KEY = re.compile(r"<Key>(.*?)</Key>", re.DOTALL)
_VERSION_ID = re.compile(r"<VersionId>(.*?)</VersionId>", re.DOTALL)
_END = "</DeleteResult>"
_NOTHING = f'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{_END}'


def without(
    refusals: Sequence[tuple[Demand, ServiceError]], app: Wsgi, environ: dict[str, Any]
) -> Wsgi:
    """What serves the request: it deletes the objects that no refusal is about, and names the
    others."""
    if not refusals:
        return app
    errors = {_object(demand): error for demand, error in refusals}

    def kept(match: re.Match[str]) -> str:
        asked = _text(_KEY, match[0]), _text(_VERSION_ID, match[0])
        return "" if asked in errors else match[0]

    body = _OBJECT.sub(kept, read_body(environ).decode())
    answer = Response(_NOTHING, content_type="application/xml")
    if _OBJECT.search(body):
        environ["wsgi.input"] = io.BytesIO(body.encode())
        environ["CONTENT_LENGTH"] = str(len(body.encode()))
        answer = Response.from_app(app, environ, buffered=True)
    if answer.status_code == 200:
        errors_xml = "".join(_error(*asked, error) for asked, error in errors.items())
        answer.data = answer.get_data(as_text=True).replace(_END, f"{errors_xml}{_END}")
    return answer


def _object(demand: Demand) -> tuple[str, str]:
    """The key and the version ID."""
    return demand.target.arn.partition("/")[2], demand.target.version_id


def _text(element: re.Pattern[str], xml: str) -> str:
    found = element.search(xml)
    return html.unescape(found[1]) if found else ""


def _error(key: str, version_id: str, error: ServiceError) -> str:
    version = f"<VersionId>{escape(version_id)}</VersionId>" if version_id else ""
    said = f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
    return f"<Error><Key>{escape(key)}</Key>{version}{said}</Error>"
