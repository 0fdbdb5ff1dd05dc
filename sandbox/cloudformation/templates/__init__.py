"""CloudFormation templates: how they are read and checked.

moto's own reading is not used: it reads YAML with an unsafe loader and makes dates of strings,
reads ``!Condition`` as ``Fn::Condition``, keeps ``AWS::NoValue`` in lists, cuts ``Fn::GetAtt`` at
the second dot, compares numbers with strings in ``Fn::Equals``, leaves the defaults of list
parameters unsplit, and creates resources while it resolves. What templates mean, and how refusals
are worded, is from the template reference of the CloudFormation user guide.
"""

from sandbox.cloudformation.templates.capabilities import InsufficientCapabilities, capabilities
from sandbox.cloudformation.templates.checks import check, transforms
from sandbox.cloudformation.templates.parameters import pseudo_parameters
from sandbox.cloudformation.templates.reading import read
from sandbox.cloudformation.templates.summary import summary
from sandbox.cloudformation.templates.syntax import parse
from sandbox.cloudformation.templates.template import Declaration, Template

__all__ = [
    "Declaration",
    "InsufficientCapabilities",
    "Template",
    "capabilities",
    "check",
    "parse",
    "pseudo_parameters",
    "read",
    "summary",
    "transforms",
]
