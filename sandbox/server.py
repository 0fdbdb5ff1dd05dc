"""The sandbox's server: moto's, with what moto lacks put into it, in one process."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

from moto.core.base_backend import BackendDict
from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from werkzeug import Request, Response
from werkzeug.serving import make_server

from sandbox import bucket_names, https, serverless_repo
from sandbox.access.guarded_app import OWN_RESPONSES, GuardedApp
from sandbox.access.keys import AccessKey
from sandbox.authorization.authorization import Authorization
from sandbox.authorization.authorized_app import AuthorizedApp
from sandbox.calls.tidied import Tidied
from sandbox.calls.unknown_calls import Dispatcher, KnownCalls
from sandbox.cloudformation import api as cloudformation
from sandbox.cloudformation.custom_resources import RESPONSE_PATH
from sandbox.cloudformation.reads import READ_DELAY, OfFunctions
from sandbox.cloudformation.request_forms import USUAL_FORMS, RequestForms
from sandbox.cloudformation.signals import SIGNAL_PATH
from sandbox.cloudwatch import embedded_metrics
from sandbox.cloudwatch.alarms import Alarms
from sandbox.cloudwatch.clock import MINUTE, CloudWatchClock
from sandbox.ec2 import api as ec2
from sandbox.ec2 import bundle_tasks, retention_rules, visibility
from sandbox.events import api as events
from sandbox.events.scheduled_rules import ScheduledRules
from sandbox.faults import faults
from sandbox.faults.faulty_app import FaultyApp, Wsgi
from sandbox.functions import event_sources
from sandbox.functions import service as functions
from sandbox.functions.concurrency import ACCOUNT_LIMIT
from sandbox.functions.logs import Logs
from sandbox.observation.calls_made import CallsMade
from sandbox.observation.events_put import EventsPut
from sandbox.observation.messages_sent import MessagesSent
from sandbox.upstream import (
    bucket_places,
    conditional_deletes,
    destination_rules,
    event_source_rules,
    function_rules,
    key_ids,
    message_keys,
    object_locks,
    object_versions,
    permissions,
    policy_quotas,
    queue_rules,
    quotas,
    shortcuts,
    simulation,
    table_keys,
)

HOST = "127.0.0.1"

Receiver = Callable[[str, str, Mapping[str, str], bytes], tuple[int, str]]
"""What takes a PUT, by path, query, headers and body, and answers status and body."""

_TICK = 0.1
# Times as long as a tick took is waited until the next: thousands of bundle tasks make it long.
_REST = 20
# AWS waits one and two minutes, which is too long for tests.
_RETRY_DELAYS = (1.0, 2.0)


class Server:
    """AWS on this machine, empty at first, from entering the context to leaving it.

    In addition to AWS's own APIs it answers

    * `GET /sandbox/bundle-requests`: each BundleInstance request, as it was received;
    * `GET /sandbox/responses`: each answer of a custom resource, as it was received;
    * `PUT /sandbox/responses/<any name>`: the same place, for a ResponseURL of one's own;
    * `GET /sandbox/signals`: each signal to a wait condition handle, as it was received;
    * `GET /sandbox/events`: each event that was put onto a bus of EventBridge;
    * `GET /sandbox/api-calls`: how often each function has made each API call;
    * `GET /sandbox/authorizations`: what was asked of IAM for these calls, and the answer;
    * `GET /sandbox/invocations`: how often each function was invoked;
    * `GET /sandbox/messages`: each message that was put into an SQS queue;
    * `/sandbox/faults`: the faults that strike calls; README.md says how they are set.

    Args:
        port: the port to listen on; 0 takes a free one.
        host: the address of this machine to listen on, and nowhere else.
        iam_delay: seconds until a change of a role's policies counts.
        ec2_delay: seconds until calls that describe see a write to EC2; twice as long for others.
        concurrency: executions of functions that the account may have at once in a Region.
        forms: of CloudFormation's requests to custom resources.
        describe_delay: seconds by which what functions read of CloudFormation's stacks is out of
            date.
        cloudwatch_minute: how many seconds a minute of CloudWatch's takes, by which alarms are
            evaluated and messages grow old.
        schedule_minute: how many seconds a minute of EventBridge's takes, by which rules run that
            have a schedule.
        https_responses: whether ResponseURLs are HTTPS, as those of AWS are. Functions trust the
            certificate.

    Attributes:
        endpoint: the endpoint URL for AWS's clients.
        key: the access key of those who are not the user that runs the sandbox.
        response_origin: where ResponseURLs, and the URLs of wait condition handles, lead.
        authorities: a PEM file by which a client trusts HTTPS there; None without HTTPS.
    """

    def __init__(
        self,
        port: int = 0,
        host: str = HOST,
        *,
        iam_delay: float = permissions.IAM_DELAY,
        ec2_delay: float = visibility.DELAY,
        concurrency: int = ACCOUNT_LIMIT,
        forms: RequestForms = USUAL_FORMS,
        describe_delay: float = READ_DELAY,
        cloudwatch_minute: float = MINUTE,
        schedule_minute: float = MINUTE,
        https_responses: bool = False,
    ) -> None:
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        self._moto = cast(Wsgi, Dispatcher(create_backend_app))
        self.key = AccessKey.new()
        self._guarded = GuardedApp(self._answer, host, self.key)
        self._http = make_server(
            host, port, self._guarded, threaded=True, request_handler=_RequestHandler
        )
        self._parts = ExitStack()
        self._concurrency = concurrency
        self._forms = forms
        self._describe_delay = describe_delay
        self._alarms = Alarms(CloudWatchClock(cloudwatch_minute))
        self._scheduled_rules = ScheduledRules(CloudWatchClock(schedule_minute))
        self._faults = faults.Faults()
        self._messages = MessagesSent()
        self._events = EventsPut()
        self._applications = serverless_repo.Applications()
        self._iam_delay = iam_delay
        self._ec2_delay = ec2_delay
        self.endpoint = self.response_origin = f"http://{_in_url(host)}:{self._http.server_port}"
        self.authorities: Path | None = None
        self._https_responses = https_responses

    def __enter__(self) -> "Server":
        with ExitStack() as parts:
            self._install(parts)
            self._parts = parts.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def _install(self, parts: ExitStack) -> None:
        BackendDict.reset()
        parts.callback(self._http.server_close)
        parts.enter_context(shortcuts.installed())
        parts.enter_context(ec2.install(delay=self._ec2_delay))
        parts.enter_context(bucket_names.enforced())
        parts.enter_context(bucket_places.enforced())
        parts.enter_context(object_locks.enforced())
        parts.enter_context(object_versions.enforced())
        parts.enter_context(conditional_deletes.enforced())
        parts.enter_context(self._messages.watching())
        parts.enter_context(self._events.watching())
        parts.enter_context(events.install(self._faults, scheduled_rules=self._scheduled_rules))
        parts.enter_context(quotas.enforced())
        self._permissions = parts.enter_context(permissions.installed(delay=self._iam_delay))
        parts.enter_context(simulation.served(self._permissions))
        self._authorization = Authorization(self._permissions)
        self._calls = CallsMade(self._authorization.allows)
        parts.enter_context(policy_quotas.enforced())
        parts.enter_context(function_rules.enforced())
        parts.enter_context(event_source_rules.enforced(self._permissions))
        parts.enter_context(destination_rules.enforced(self._permissions))
        parts.enter_context(queue_rules.enforced())
        parts.enter_context(message_keys.kept())
        parts.enter_context(table_keys.changeable())
        parts.enter_context(key_ids.known())
        parts.enter_context(embedded_metrics.extracted())
        parts.enter_context(self._alarms.watching())
        trusted = self._listen_to_https(parts) if self._https_responses else {}
        self._functions = functions.install(
            {
                **trusted,
                "AWS_ENDPOINT_URL": self.endpoint,
                "SANDBOX_RESPONSE_ORIGIN": self.response_origin,
            },
            Logs(self._calls).write,
            retry_delays=_RETRY_DELAYS,
            concurrency=self._concurrency,
            faults=self._faults,
            calls=self._calls,
        )
        parts.callback(self._functions.close)
        parts.callback(event_sources.install(self._functions, self._faults, self._calls).close)
        self._faulty = FaultyApp(
            KnownCalls(Tidied(AuthorizedApp(self._call, self._authorization))),
            self._faults,
            self._calls,
            self._functions.calling,
        )
        self._services = OfFunctions(self._moto, self._functions.calling)
        self._stacks = cloudformation.install(
            lambda: self.response_origin,
            permissions=self._permissions,
            forms=self._forms,
            read_delay=self._describe_delay,
            refusal=self._authorization.refusal_to_invoke,
        )
        parts.callback(self._stacks.close)
        parts.enter_context(_Background("http", self._http.serve_forever, self._http.shutdown))
        parts.callback(self._faults.close)
        ended = threading.Event()
        parts.enter_context(_Background("clock", lambda: _tick(ended), ended.set))
        parts.enter_context(_Background("alarms", lambda: _watch(self._alarms, ended), ended.set))
        parts.enter_context(
            _Background("schedules", lambda: _run(self._scheduled_rules, ended), ended.set)
        )

    def _listen_to_https(self, parts: ExitStack) -> Mapping[str, str]:
        """The variables by which functions trust it."""
        host = str(self._http.server_address[0])
        trust = parts.enter_context(https.made(host))
        listener = https.listener(host, self._guarded, _RequestHandler, trust.context)
        parts.callback(listener.server_close)
        parts.enter_context(_Background("https", listener.serve_forever, listener.shutdown))
        self.response_origin = f"https://{_in_url(host)}:{listener.server_port}"
        self.authorities = trust.bundle
        return trust.variables

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == faults.PATH or path.startswith(f"{faults.PATH}/"):
            return faults.serve(self._faults, Request(environ))(environ, start_response)
        if environ["REQUEST_METHOD"] == "PUT" and path.startswith(OWN_RESPONSES):
            self._stacks.custom_resources.receive_unasked(Request(environ).get_data())
            return Response()(environ, start_response)
        if path.startswith("/sandbox/"):
            return self._report(path)(environ, start_response)
        return self._faulty(environ, start_response)

    def _call(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if environ["REQUEST_METHOD"] == "PUT":
            if path.startswith(RESPONSE_PATH):
                receive = self._stacks.custom_resources.receive
                return _received(Request(environ), receive)(environ, start_response)
            if path.startswith(SIGNAL_PATH):
                receive = self._stacks.signals.receive
                return _received(Request(environ), receive)(environ, start_response)
        if region := serverless_repo.region_of(environ):
            return self._applications.serve(Request(environ), region)(environ, start_response)
        if region := retention_rules.region_of(environ):
            return retention_rules.serve(Request(environ), region)(environ, start_response)
        return self._services(environ, start_response)

    def _report(self, path: str) -> Response:
        match path.removeprefix("/sandbox/"):
            case "bundle-requests":
                report = bundle_tasks.requests_received()
            case "responses":
                report = self._stacks.custom_resources.responses_received()
            case "signals":
                report = self._stacks.signals.received()
            case "events":
                report = self._events.described()
            case "api-calls":
                report = self._calls.described()
            case "authorizations":
                report = self._authorization.described()
            case "invocations":
                report = self._functions.invocations()
            case "messages":
                report = self._messages.described()
            case _:
                return Response(
                    "There is api-calls, authorizations, bundle-requests, events, faults, "
                    "invocations, messages, responses and signals here.\n",
                    status=404,
                )
        return Response(json.dumps(report, indent=2) + "\n", content_type="application/json")


class _RequestHandler(MotoRequestHandler):
    """moto's, which closes the connection of a request that gets no answer."""

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:  # noqa: ARG002
        self.close_connection = True


class _Background:
    """A thread that runs from entering the context to leaving it."""

    def __init__(self, name: str, run: Callable[[], None], stop: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=run, name=f"sandbox {name}", daemon=True)
        self._stop = stop

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._thread.join()


def _in_url(host: str) -> str:
    """A host as a URL has it: IPv6 addresses in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def _received(request: Request, receive: Receiver) -> Response:
    status, text = receive(
        request.path, request.query_string.decode(), dict(request.headers), request.get_data()
    )
    return Response(text, status=status)


def _tick(ended: threading.Event) -> None:
    pause = _TICK
    while not ended.wait(pause):
        began = time.monotonic()
        ec2.advance_all()
        pause = max(_TICK, _REST * (time.monotonic() - began))


def _watch(alarms: Alarms, ended: threading.Event) -> None:
    while not ended.wait(alarms.seconds_to_next()):
        alarms.advance(ended.is_set)


def _run(rules: ScheduledRules, ended: threading.Event) -> None:
    while not ended.wait(rules.seconds_to_next()):
        rules.advance()
