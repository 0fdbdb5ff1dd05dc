"""Runs a workflow of GitHub's, as far as `examples/pipeline/github-actions.yml` needs it."""

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .support import wait_for

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_OUTCOME = re.compile(r"steps\.(\S+)\.outcome == '(\w+)'")
_ACTION = re.compile(r"([\w-]+/[\w-]+)@[0-9a-f]{40}")

Action = Callable[[Mapping[str, str]], dict[str, str]]
"""An action, by its inputs; what it adds to the environment of the steps after it."""


@dataclass
class Run:
    """A run of the workflow's one job.

    Attributes:
        workspace: where the steps run.
        temporary: the runner's own directory.
        contexts: values of `vars`, `github`, `secrets`.
        actions: those that steps use, by name.
        meanwhile: what is to be done while steps run.
        environment: that of all steps; GITHUB_ENV adds to it.
        outcomes: of the steps that have an ID.
        log: what all steps printed.
    """

    workspace: Path
    temporary: Path
    contexts: Mapping[str, Mapping[str, str]]
    actions: Mapping[str, Action]
    meanwhile: Callable[[], None]
    environment: dict[str, str]
    outcomes: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    failed: bool = False
    log: str = ""

    def carry_out(self, workflow: Path) -> None:
        """Run the workflow's job to its end."""
        parsed = yaml.safe_load(workflow.read_text())
        assert parsed["defaults"] == {"run": {"shell": "bash"}}
        [job] = parsed["jobs"].values()
        self.temporary.mkdir()
        self.environment |= self._all_resolved(parsed.get("env", {}))
        self.environment |= self._all_resolved(job.get("env", {}))
        self.environment |= {
            "RUNNER_TEMP": str(self.temporary),
            "GITHUB_ENV": str(self.temporary / "env"),
            "GITHUB_OUTPUT": str(self.temporary / "output"),
            "GITHUB_SHA": self.contexts["github"]["sha"],
        }
        for step in job["steps"]:
            outcome = self._outcome(step) if self._applies(step) else "skipped"
            self.failed = self.failed or outcome == "failure"
            if "id" in step:
                self.outcomes[step["id"]] = outcome

    def _applies(self, step: Mapping[str, Any]) -> bool:
        condition = _EXPRESSION.fullmatch(step.get("if", "${{ success() }}"))
        assert condition, step
        return all(self._holds(term.strip()) for term in condition[1].split("&&"))

    def _holds(self, term: str) -> bool:
        match term:
            case "always()":
                return True
            case "success()":
                return not self.failed
            case "failure()":
                return self.failed
        outcome = _OUTCOME.fullmatch(term)
        assert outcome, term
        return self.outcomes[outcome[1]] == outcome[2]

    def _outcome(self, step: Mapping[str, Any]) -> str:
        if "uses" in step:
            action = _ACTION.fullmatch(step["uses"])
            assert action, step
            self.environment |= self.actions[action[1]](self._all_resolved(step.get("with", {})))
            return "success"
        script = self.temporary / "step.sh"
        script.write_text(step["run"])
        assert "${{" not in step["run"], "an expression in a script can be an injection"
        environment, output = Path(self.environment["GITHUB_ENV"]), self.temporary / "output"
        environment.write_text("")
        output.write_text("")
        status = self._bash(script, self._all_resolved(step.get("env", {})))
        self.environment |= _pairs(environment)
        self.outputs[step.get("id", "")] = _pairs(output)
        return "failure" if status else "success"

    def _bash(self, script: Path, environment: Mapping[str, str]) -> int:
        printed = self.temporary / "log"
        with printed.open("w") as log:
            process = subprocess.Popen(
                ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
                cwd=self.workspace,
                env={**self.environment, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

        def ended() -> int | None:
            self.meanwhile()
            return process.poll()

        try:
            return wait_for(ended, script.read_text())
        finally:
            process.kill()
            process.wait()
            self.log += printed.read_text()

    def _all_resolved(self, values: Mapping[str, Any]) -> dict[str, str]:
        return {
            name: _EXPRESSION.sub(lambda found: self._value(found[1]), str(value))
            for name, value in values.items()
        }

    def _value(self, expression: str) -> str:
        match expression.split("."):
            case ["steps", step, "outputs", name]:
                return self.outputs[step][name]
            case [context, name]:
                return self.contexts[context][name]
        raise AssertionError(expression)


def _pairs(file: Path) -> dict[str, str]:
    """Lines of names and values, as steps write them."""
    pairs = {}
    for line in file.read_text().splitlines():
        name, equals, value = line.partition("=")
        assert equals, line
        pairs[name] = value
    return pairs
