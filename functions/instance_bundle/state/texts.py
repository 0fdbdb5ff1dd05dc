"""The texts of requests: what CloudFormation asked, with its secrets, in a table of its own.

A text has the ResponseURL, the URL of a handle, an upload policy and its signature. The ledger can
be restored to any second of 35 days, and this table can't. A text is stored before its record, and
removed after the answer is delivered, so that each record whose answer is not delivered has one. A
text that a killed process leaves expires.
"""

import json
from collections.abc import Callable
from contextlib import suppress

from instance_bundle.errors import ConditionFailed, InstanceBundleError, Stale
from instance_bundle.request import Request, RequestKey
from instance_bundle.state.items import request_key
from instance_bundle.state.records import Record
from instance_bundle.state.table import NEW, Table
from instance_bundle.telemetry import logger

KEPT = 24 * 3600
"""Seconds from a request's receipt until its text expires: longer than any request takes. DynamoDB
deletes it later than that, "within a few days" (Amazon DynamoDB Developer Guide, Time to Live)."""


def lost() -> Stale:
    """The error for a request that nobody can answer, since its text is no longer stored."""
    logger.error("A request can't be answered: its text has expired, or was removed by hand")
    return Stale("its text is no longer stored")


class Texts:
    """The table of texts. Each call but `remove` may raise `PassingFault` or `Denied`.

    Args:
        table: its name.
        clock: epoch seconds.
    """

    def __init__(self, table: str, clock: Callable[[], float]) -> None:
        self._table = Table(table)
        self._clock = clock

    def put(self, request: Request) -> Request:
        """Store a request's text if there is none yet, and read it.

        Without it no poll can answer the request. If it can't be read, that shows here, where the
        request is known.

        Returns:
            The request as it was stored first.
        """
        text = json.dumps(request.as_event())
        expires = int(self._clock() + KEPT)
        with suppress(ConditionFailed):
            self._table.put({**request_key(request.key), "request": text, "expires": expires}, NEW)
        return self.read(request.key) or request

    def read(self, key: RequestKey) -> Request | None:
        """A request, if its text is stored."""
        sought = request_key(key)["item"]
        found = (item for item in self._table.query(key.resource) if item["item"] == sought)
        return next((Request.parse(json.loads(item["request"])) for item in found), None)

    def of(self, record: Record) -> Request:
        """What a request asks whose answer is not delivered.

        Raises:
            Stale: that is no longer stored, so nobody can answer the request.
        """
        request = record.request or self.read(record.key)
        if request is None:
            raise lost()
        return request

    def remove(self, key: RequestKey) -> None:
        """Remove a request's text: its answer is delivered. If that fails, the text expires."""
        try:
            self._table.delete(request_key(key))
        except InstanceBundleError as error:
            logger.warning("A request's text is not removed; it expires", why=str(error))
