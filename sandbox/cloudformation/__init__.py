"""CloudFormation: stacks, templates and custom resources."""
