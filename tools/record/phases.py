"""The phases that are recorded: which calls are made, and which requests are not just answered
SUCCESS. What AWS then does is expected nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tools.record.templates import Template, nested, resource, template

Kind = tuple[str, str]
"""A logical ID, and a request's type."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one request is answered.

    Attributes:
        status: with `NONE` it is not answered at all.
        after: it is answered only once such a request has come.
    """

    status: Literal["SUCCESS", "FAILED", "NONE"] = "SUCCESS"
    after: Kind | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A call to CloudFormation.

    Attributes:
        call: its name.
        template: the stack's, in CreateStack and UpdateStack.
        options: its other parameters.
        until: the next step follows as soon as such a request has come since the call; None: as
            soon as the stack is at rest.
    """

    call: str
    template: Template | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    until: Kind | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a custom resource's life, in a stack of its own.

    Attributes:
        summary: what happens, for readers of the recording.
        steps: the last one is followed by a DeleteStack, if need be.
        answers: of requests of a kind: of the first one, the second one, and so on. All others are
            answered SUCCESS.
        nested: the templates of nested stacks, by their keys.
        undeletable: the physical IDs whose Deletes are all answered FAILED.
    """

    name: str
    summary: str
    steps: tuple[Step, ...]
    answers: Mapping[Kind, tuple[Answer, ...]] = field(default_factory=dict)
    nested: Mapping[str, Template] = field(default_factory=dict)
    undeletable: frozenset[str] = frozenset()

    def answer(self, kind: Kind, number: int, physical_id: str | None) -> Answer:
        """How a request is answered.

        Args:
            number: how many requests of the kind came before.
            physical_id: the request's own, if it has one.
        """
        if kind[1] == "Delete" and physical_id in self.undeletable:
            return Answer("FAILED")
        planned = self.answers.get(kind, ())
        return planned[number] if number < len(planned) else Answer()


FAILED = (Answer("FAILED"),)
NONE = (Answer("NONE"),)
UNDELETABLE = frozenset({"Bundle-one"})

ONE = template(Bundle=resource())
NOTED = template(Bundle=resource(note="changed"))
TWO = template(Bundle=resource("two"))


def _family(name: str, note: str = "", **attributes: Any) -> Template:
    """A bundle, and a sibling whose turn comes when the bundle is done."""
    return template(
        Bundle=resource(name, note=note, **attributes),
        Sibling=resource(note=note or name, DependsOn="Bundle"),
    )


def _peers(name: str, note: str = "") -> Template:
    """A bundle, and a sibling at the same time."""
    return template(Bundle=resource(name, note=note), Sibling=resource(note=note or name))


def _with_policies(name: str, **policies: str) -> Template:
    return template(Bundle=resource(name, **policies))


def _create(body: Template, **options: Any) -> Step:
    return Step("CreateStack", body, options)


def _update(body: Template, until: Kind | None = None, **options: Any) -> Step:
    return Step("UpdateStack", body, options, until)


DELETE = Step("DeleteStack")
FAMILY, NEW_FAMILY = _family("one"), _family("two")
SIBLING_FAILS = {("Sibling", "Update"): FAILED}
_CHILD = template(Child=nested("child-one.json"))
_NEW_CHILD = template(Child=nested("child-two.json"))
_CHILDREN = {"child-one.json": ONE, "child-two.json": TWO}

PHASES: tuple[Phase, ...] = (
    Phase("create", "A stack is created and deleted.", (_create(ONE), DELETE)),
    Phase(
        "create-failed",
        "A Create is answered FAILED, and the stack is rolled back.",
        (_create(ONE),),
        {("Bundle", "Create"): FAILED},
    ),
    Phase(
        "create-failed-on-failure-delete",
        "A Create is answered FAILED, and the stack is deleted.",
        (_create(ONE, OnFailure="DELETE"),),
        {("Bundle", "Create"): FAILED},
    ),
    Phase(
        "create-failed-rollback-disabled",
        "A Create is answered FAILED, and the stack is left as it is; then it is deleted.",
        (_create(ONE, DisableRollback=True), DELETE),
        {("Bundle", "Create"): FAILED},
    ),
    Phase(
        "create-cancelled",
        "A Create is open when a sibling fails, and is never answered.",
        (_create(_peers("one")),),
        {
            ("Bundle", "Create"): NONE,
            ("Sibling", "Create"): (Answer("FAILED", after=("Bundle", "Create")),),
        },
    ),
    Phase(
        "create-deleted-midway",
        "A stack is deleted while a Create is open, which is never answered.",
        (
            Step("CreateStack", ONE, until=("Bundle", "Create")),
            DELETE,
        ),
        {("Bundle", "Create"): NONE},
    ),
    Phase(
        "create-timeout",
        "A Create is not answered within its ServiceTimeout.",
        (_create(template(Bundle=resource(service_timeout="5"))),),
        {("Bundle", "Create"): NONE},
    ),
    Phase("update", "An update in place.", (_create(ONE), _update(NOTED))),
    Phase(
        "update-failed",
        "An Update in place is answered FAILED, and the stack is rolled back.",
        (_create(ONE), _update(NOTED)),
        {("Bundle", "Update"): FAILED},
    ),
    Phase(
        "update-rolled-back",
        "An update in place is done when a sibling fails, and is rolled back.",
        (_create(FAMILY), _update(_family("one", "changed"))),
        SIBLING_FAILS,
    ),
    Phase(
        "update-cancelled",
        "An Update is open when a sibling fails, and is never answered.",
        (_create(_peers("one")), _update(_peers("one", "changed"))),
        {
            ("Bundle", "Update"): NONE,
            ("Sibling", "Update"): (Answer("FAILED", after=("Bundle", "Update")),),
        },
    ),
    Phase(
        "update-failed-rollback-disabled",
        "An Update is answered FAILED, and the stack is left as it is; then it is rolled back.",
        (
            _create(ONE),
            _update(NOTED, DisableRollback=True),
            Step("RollbackStack"),
        ),
        {("Bundle", "Update"): FAILED},
    ),
    Phase(
        "update-failed-updated-again",
        "An Update is answered FAILED, and the stack is left as it is; then it is updated again.",
        (
            _create(ONE),
            _update(NOTED, DisableRollback=True),
            _update(template(Bundle=resource(note="again")), DisableRollback=True),
        ),
        {("Bundle", "Update"): FAILED},
    ),
    Phase(
        "cancel-update",
        "CancelUpdateStack is called while an Update is open, which is never answered.",
        (
            _create(ONE),
            _update(NOTED, until=("Bundle", "Update")),
            Step("CancelUpdateStack"),
        ),
        {("Bundle", "Update"): NONE},
    ),
    Phase("replacement", "A replacement and its clean-up.", (_create(ONE), _update(TWO))),
    Phase(
        "replacement-failed",
        "An Update that would replace is answered FAILED, with the new physical ID.",
        (_create(ONE), _update(TWO)),
        {("Bundle", "Update"): FAILED},
    ),
    Phase(
        "replacement-rolled-back",
        "A replacement is done when a sibling fails; it is rolled back, and cleaned up.",
        (_create(FAMILY), _update(NEW_FAMILY)),
        SIBLING_FAILS,
    ),
    Phase(
        "replacement-clean-up-failed",
        "Each Delete of a clean-up is answered FAILED, however often it is tried again.",
        (_create(ONE), _update(TWO)),
        undeletable=UNDELETABLE,
    ),
    Phase(
        "rollback-failed",
        "The Update of a rollback is answered FAILED; then ContinueUpdateRollback is called.",
        (_create(FAMILY), _update(NEW_FAMILY), Step("ContinueUpdateRollback")),
        {**SIBLING_FAILS, ("Bundle", "Update"): (Answer(), Answer("FAILED"))},
    ),
    Phase(
        "rollback-failed-skipped",
        "The Update of a rollback is answered FAILED; ContinueUpdateRollback skips the resource.",
        (
            _create(FAMILY),
            _update(NEW_FAMILY),
            Step("ContinueUpdateRollback", options={"ResourcesToSkip": ["Bundle"]}),
        ),
        {**SIBLING_FAILS, ("Bundle", "Update"): (Answer(), Answer("FAILED"))},
    ),
    Phase(
        "addition-rolled-back",
        "An update adds a resource, and a sibling fails.",
        (
            _create(template(Bundle=resource())),
            _update(template(Bundle=resource(note="changed", DependsOn="Added"), Added=resource())),
        ),
        {("Bundle", "Update"): FAILED},
    ),
    Phase(
        "removal",
        "An update takes a resource out of the template.",
        (_create(FAMILY), _update(ONE)),
    ),
    Phase(
        "delete-failed",
        "A Delete is answered FAILED, and the stack is deleted again.",
        (_create(ONE), DELETE, DELETE),
        {("Bundle", "Delete"): FAILED},
    ),
    Phase(
        "delete-failed-retained",
        "Deletes are answered FAILED, and the stack is deleted without the resource.",
        (_create(ONE), DELETE, Step("DeleteStack", options={"RetainResources": ["Bundle"]})),
        undeletable=UNDELETABLE,
    ),
    Phase(
        "delete-failed-forced",
        "Deletes are answered FAILED, and the stack is deleted by force.",
        (
            _create(ONE),
            DELETE,
            Step("DeleteStack", options={"DeletionMode": "FORCE_DELETE_STACK"}),
        ),
        undeletable=UNDELETABLE,
    ),
    Phase(
        "deletion-policy-retain",
        "A stack is deleted whose resource is retained.",
        (_create(_with_policies("one", DeletionPolicy="Retain")), DELETE),
    ),
    Phase(
        "deletion-policy-retain-create-failed",
        "A Create is answered FAILED of a resource that is to be retained.",
        (_create(_with_policies("one", DeletionPolicy="Retain")),),
        {("Bundle", "Create"): FAILED},
    ),
    Phase(
        "update-replace-policy-retain",
        "A replacement of a resource that is retained when it is replaced.",
        (
            _create(_with_policies("one", UpdateReplacePolicy="Retain")),
            _update(_with_policies("two", UpdateReplacePolicy="Retain")),
        ),
    ),
    Phase(
        "retain-except-on-create",
        "A stack is deleted whose resource is retained except on create.",
        (_create(_with_policies("one", DeletionPolicy="RetainExceptOnCreate")), DELETE),
    ),
    Phase(
        "retain-except-on-create-rolled-back",
        "A creation is rolled back whose resource is retained except on create.",
        (
            _create(
                template(
                    Bundle=resource(DeletionPolicy="RetainExceptOnCreate"),
                    Sibling=resource(DependsOn="Bundle"),
                )
            ),
        ),
        {("Sibling", "Create"): FAILED},
    ),
    Phase(
        "nested",
        "A nested stack is created, its resource replaced, and it is deleted with its parent.",
        (_create(_CHILD), _update(_NEW_CHILD)),
        nested=_CHILDREN,
    ),
    Phase(
        "nested-rolled-back",
        "A nested stack's resource is replaced, and a resource of the parent fails.",
        (
            _create(template(Child=nested("child-one.json"), Sibling=resource(DependsOn="Child"))),
            _update(
                template(
                    Child=nested("child-two.json"),
                    Sibling=resource(note="changed", DependsOn="Child"),
                )
            ),
        ),
        SIBLING_FAILS,
        _CHILDREN,
    ),
)
"""All of them; the names say what is done."""
