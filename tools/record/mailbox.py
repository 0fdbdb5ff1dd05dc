"""Takes the requests out of the recorder's queue, and gives each to the phase that it is of."""

from __future__ import annotations

import json
import queue
import threading
from contextlib import suppress
from typing import Any

import urllib3
from botocore.exceptions import BotoCoreError, ClientError

_LONG_POLL = 5
"""Seconds; a thread that ends waits for it."""

Request = dict[str, Any]


class Mailbox:
    """Receives in a thread of its own, from `start` until `close`.

    Args:
        sqs: a client.
        url: of the queue.
    """

    def __init__(self, sqs: Any, url: str) -> None:
        self._sqs, self._url = sqs, url
        self._boxes: dict[str, queue.Queue[Request]] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._receipts: dict[tuple[str, str], str] = {}
        self._done: set[tuple[str, str]] = set()
        self._thread = threading.Thread(target=self._receive, name="mailbox", daemon=True)
        self.rest: queue.Queue[Request] = queue.Queue()
        """Requests of stacks that no box is open for, and those that were left unanswered."""

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop receiving."""
        self._closed.set()
        self._thread.join()

    def open(self, stack_name: str) -> queue.Queue[Request]:
        """The requests of the stack of that name and of its nested stacks, from now on."""
        with self._lock:
            return self._boxes.setdefault(stack_name, queue.Queue())

    def shut(self, stack_name: str) -> None:
        """Have the further requests of that stack go to `rest`."""
        with self._lock:
            box = self._boxes.pop(stack_name, None)
        while box and not box.empty():
            self.rest.put(box.get())

    def done(self, request: Request) -> None:
        """Take a request that is answered out of the queue."""
        identity = _identity(request)
        self._done.add(identity)
        # If its receipt handle is too old, it comes again, and is deleted then.
        with suppress(ClientError):
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=self._receipts[identity])

    def _receive(self) -> None:
        while not self._closed.is_set():
            try:
                received = self._sqs.receive_message(
                    QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=_LONG_POLL
                )
                for message in received.get("Messages", []):
                    request = json.loads(message["Body"])["requestPayload"]
                    self._deliver(request, message["ReceiptHandle"])
            except (BotoCoreError, ClientError):
                # The connection failed, or the queue is gone: `close` comes, or it is tried again.
                self._closed.wait(1)

    def _deliver(self, request: Request, receipt: str) -> None:
        """Put a request into its box, once: it comes again until it is answered."""
        identity = _identity(request)
        with self._lock:
            is_new = identity not in self._receipts
            self._receipts[identity] = receipt
            if is_new:
                self._box_of(name_of(request["StackId"])).put(request)
        if identity in self._done:
            self.done(request)

    def _box_of(self, stack: str) -> queue.Queue[Request]:
        """A nested stack's name begins with that of its parent."""
        fitting = [name for name in self._boxes if stack == name or stack.startswith(f"{name}-")]
        return self._boxes[max(fitting, key=len)] if fitting else self.rest


def _identity(request: Request) -> tuple[str, str]:
    return request["StackId"], request["RequestId"]


def name_of(stack_id: str) -> str:
    """The name of a stack, by its ID."""
    return stack_id.split("/")[1]


def put(request: Request, status: str, physical_id: str, reason: str) -> dict[str, Any]:
    """Answer a request; what was sent, and the status of HTTP that came back."""
    body = {
        "Status": status,
        "Reason": reason,
        "PhysicalResourceId": physical_id,
        "StackId": request["StackId"],
        "RequestId": request["RequestId"],
        "LogicalResourceId": request["LogicalResourceId"],
        "Data": {"Name": request["ResourceProperties"].get("Name", "")},
    }
    answer = urllib3.request(
        "PUT",
        request["ResponseURL"],
        body=json.dumps(body).encode(),
        headers={"Content-Type": ""},
        timeout=30,
    )
    return {"body": body, "http_status": answer.status}
