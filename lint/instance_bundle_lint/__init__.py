"""Rules for cfn-lint that find mistakes in the properties of `Custom::InstanceBundle`.

Example:
    cfn-lint --append-rules instance_bundle_lint.rules -- template.yaml
"""
