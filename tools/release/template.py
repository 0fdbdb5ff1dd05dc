"""The packaged template, which AWS CLI alone can deploy.

CloudFormation performs the transform itself (AWS CloudFormation Template Reference, AWS::Serverless
transform). CodeUri as Bucket and Key goes to the function's S3Bucket and S3Key unchanged, so both
may refer to parameters (AWS SAM Developer Guide, FunctionCode).
"""

import re

_PARAMETERS = r"""
  CodeBucket:
    Type: String
    AllowedPattern: ^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$
    Description: >-
      Name of the bucket that KEY was copied to; in this Region.
  CodePrefix:
    Type: String
    Default: ""
    AllowedPattern: ^(|[^/].*/)$
    Description: >-
      What precedes KEY in that bucket, with a slash at its end; empty means nothing.
"""
_GROUP = """
      - Label: {default: Code}
        Parameters: [CodeBucket, CodePrefix]
"""
# The key is no parameter: an update that does not give one would keep the code of the version
# before (AWS CLI Command Reference, cloudformation deploy: the command uses the existing value).
_CODE = """
    CodeUri:
      Bucket: !Ref CodeBucket
      Key: !Sub ${CodePrefix}KEY
"""


def runtime(template: str) -> str:
    """The version of Python that the functions run on, such as `3.13`."""
    [found] = re.finditer(r"^    Runtime: python([\d.]+)$", template, re.MULTILINE)
    return found[1]


def packaged(template: str, key: str, version: str) -> str:
    """The template for the functions' code in S3, instead of in this repository.

    Args:
        template: the text of `template.yaml`.
        key: the object's name; it contains the version.
        version: the version that the template has to repeat.

    Raises:
        ValueError: the template is of another version, or does not have what is to be replaced.
    """
    found = re.findall(r"^    (?:SemanticVersion|Value): ([\d.]+)$", template, re.MULTILINE)
    if found != [version, version]:
        raise ValueError(f"template.yaml has the versions {found}, and the package has {version}")
    for old, new, times in (
        ("\n    CodeUri: functions/\n", _CODE, 1),
        ("\nParameters:\n", f"\nParameters:{_PARAMETERS}", 1),
        ("\n    ParameterGroups:\n", f"\n    ParameterGroups:{_GROUP}", 1),
        # What SAM CLI builds with and publishes from, none of which is in the release.
        ("      BuildMethod: makefile\n", "", 2),
        ("    LicenseUrl: LICENSE\n    ReadmeUrl: README.md\n", "", 1),
    ):
        if template.count(old) != times:
            raise ValueError(f"template.yaml needs {times} times, and only so often: {old.strip()}")
        template = template.replace(old, new.replace("KEY", key))
    return template
