"""Takes the requests out of the recorder's queue, and gives each to the phase that it is of."""

from __future__ import annotations

import json
import queue
import threading
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
        self._seen: set[tuple[str, str]] = set()
        self._thread = threading.Thread(target=self._receive, name="mailbox", daemon=True)
        self.rest: queue.Queue[Request] = queue.Queue()
        """Requests of stacks that no box is open for."""

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

    def _receive(self) -> None:
        while not self._closed.is_set():
            try:
                received = self._sqs.receive_message(
                    QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=_LONG_POLL
                )
                for message in received.get("Messages", []):
                    self._deliver(json.loads(message["Body"])["requestPayload"])
                    self._sqs.delete_message(
                        QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"]
                    )
            except (BotoCoreError, ClientError):
                # The connection failed, or the queue is gone: `close` comes, or it is tried again.
                self._closed.wait(1)

    def _deliver(self, request: Request) -> None:
        """Put a request into its box, once: a queue may deliver it twice."""
        identity = request["StackId"], request["RequestId"]
        if identity in self._seen:
            return
        self._seen.add(identity)
        with self._lock:
            self._box_of(name_of(request["StackId"])).put(request)

    def _box_of(self, stack: str) -> queue.Queue[Request]:
        """A nested stack's name begins with that of its parent."""
        fitting = [name for name in self._boxes if stack == name or stack.startswith(f"{name}-")]
        return self._boxes[max(fitting, key=len)] if fitting else self.rest


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
