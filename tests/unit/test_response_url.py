"""Which URLs may be answered: CloudFormation's in every region, and nothing that resembles them."""

import itertools
import re
from collections.abc import Iterable

import pytest
from botocore.loaders import Loader
from urllib3.util import parse_url

from instance_bundle.request.response_url import Place, Subject, may_be_answered, place, subject

ORIGIN = "http://127.0.0.1:4580"
KEY = (
    "arn%3Aaws%3Acloudformation%3Aus-east-1%3A123456789012%3Astack/web/"
    "2d213470-3bbd-11ea-a35f-06b8fd1f0384%7CBundle%7C5c8ba6aa-1752-4e3d-8439-5c2e438438aa"
)
SIGNED = (
    "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261124T065541Z&X-Amz-SignedHeaders=host"
    "&X-Amz-Expires=7200&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261124%2Fus-east-1%2Fs3"
    "%2Faws4_request&X-Amz-Signature="
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)
SIGNED_OF_OLD = (
    "?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1534828346"
    "&Signature=aW%2FrE3dAcLgbjHclVHGmxJ4zq0%3D"
)
TARGET = f"/{KEY}{SIGNED}"

BUCKET = "cloudformation-custom-resource-response-useast1"
WAIT = "cloudformation-waitcondition-us-east-1"
HOST = f"{BUCKET}.s3.amazonaws.com"
IRELAND = "cloudformation-custom-resource-response-euwest1"
CHINA = "cloudformation-custom-resource-response-cnnorth1"
GOV = "cloudformation-custom-resource-response-usgovwest1"

SUFFIXES = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
    "aws-us-gov": "amazonaws.com",
}
REGIONS = [
    (region, SUFFIXES[partition["id"]])
    for partition in Loader().load_data("partitions")["partitions"]
    for region in partition["regions"]
    if not region.endswith("-global")
]
ENDPOINTS = [
    "s3.{region}.{suffix}",
    "s3-{region}.{suffix}",
    "s3.dualstack.{region}.{suffix}",
    "s3-fips.{region}.{suffix}",
    "s3-fips-{region}.{suffix}",
    "s3-fips.dualstack.{region}.{suffix}",
]
OPENED_BEFORE_MARCH_2019 = [
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1"),
    *("ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2"),
    *("eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
]

# As events, logs and documentation in public show them; identifiers are replaced.
SEEN = [
    f"https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/{KEY}{SIGNED}",
    f"https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/{KEY}{SIGNED_OF_OLD}",
    f"https://cloudformation-custom-resource-response-useast1.s3.us-east-1.amazonaws.com/{KEY}{SIGNED}",
    f"https://cloudformation-custom-resource-response-useast2.s3.us-east-2.amazonaws.com/{KEY}{SIGNED}",
    f"https://cloudformation-custom-resource-response-useast2.s3-us-east-2.amazonaws.com/{KEY}{SIGNED}",
    f"https://cloudformation-custom-resource-response-uswest2.s3-us-west-2.amazonaws.com/{KEY}{SIGNED}",
    f"https://cloudformation-custom-resource-response-uswest2.s3-us-west-2.amazonaws.com/{KEY}{SIGNED_OF_OLD}",
    f"https://cloudformation-custom-resource-response-euwest1.s3-eu-west-1.amazonaws.com/{KEY}{SIGNED}",
    f"https://cloudformation-custom-resource-response-eucentral1.s3.eu-central-1.amazonaws.com/{KEY}{SIGNED}",
    f"https://cloudformation-custom-resource-response-eusouth1.s3.eu-south-1.amazonaws.com/{KEY}{SIGNED}",
    f"https://cloudformation-custom-resource-response-apnortheast1.s3-ap-northeast-1.amazonaws.com/{KEY}{SIGNED}",
    f"https://cloudformation-custom-resource-response-apsoutheast2.s3-ap-southeast-2.amazonaws.com/{KEY}{SIGNED}",
    (
        "https://cloudformation-custom-resource-response-cnnorth1.s3.cn-north-1.amazonaws.com.cn/"
        "arn%3Aaws-cn%3Acloudformation%3Acn-north-1%3A123456789012%3Astack/web/2d213470-3bbd-11ea"
        f"-a35f-06b8fd1f0384%7CBundle%7C5c8ba6aa-1752-4e3d-8439-5c2e438438aa{SIGNED}"
    ),
    (
        "https://cloudformation-waitcondition-us-east-1.s3.amazonaws.com/"
        "arn%3Aaws%3Acloudformation%3Aus-east-1%3A123456789012%3Astack%2Fweb%2F"
        "2d213470-3bbd-11ea-a35f-06b8fd1f0384%2FHandle?Expires=1534828346"
        "&AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=aW%2FrE3dAcLgbjHclVHGmxJ4zq0%3D"
    ),
    f"https://cloudformation-waitcondition-us-east-2.s3.us-east-2.amazonaws.com/{KEY}{SIGNED}",
    f"https://cloudformation-waitcondition-us-west-2.s3-us-west-2.amazonaws.com/{KEY}{SIGNED}",
    f"https://cloudformation-waitcondition-eu-west-1.s3-eu-west-1.amazonaws.com/{KEY}{SIGNED_OF_OLD}",
    f"https://cloudformation-waitcondition-eu-west-3.s3.eu-west-3.amazonaws.com/{KEY}{SIGNED}",
]

BAD: dict[str, list[str]] = {
    "another host": [
        f"https://example.com{TARGET}",
        f"https://evil.example/{HOST}/{KEY}",
        f"https://evil.example/?{HOST}/{KEY}",
        f"https://localhost{TARGET}",
        f"https://amazonaws.com/{BUCKET}/{KEY}",
        f"https://s3{TARGET}",
        f"https://{BUCKET}{TARGET}",
        f"https://{BUCKET}.s3{TARGET}",
        f"https://lambda.us-east-1.amazonaws.com/{BUCKET}/{KEY}",
        f"https://ec2.amazonaws.com/{BUCKET}/{KEY}",
        f"https://{BUCKET}.us-east-1.elb.amazonaws.com{TARGET}",
        f"https://{BUCKET}.cloudfront.net{TARGET}",
        f"https://metadata.google.internal/{BUCKET}/{KEY}",
        f"https:///{BUCKET}/{KEY}",
        f"https://.{TARGET}",
    ],
    "user information": [
        f"https://{HOST}@evil.example{TARGET}",
        f"https://{HOST}:443@evil.example{TARGET}",
        f"https://{HOST}%40evil.example{TARGET}",
        f"https://evil.example@{HOST}{TARGET}",
        f"https://user:password@{HOST}{TARGET}",
        f"https://user@{HOST}{TARGET}",
        f"https://@{HOST}{TARGET}",
        f"https://:@{HOST}{TARGET}",
        f"https://{HOST}@{HOST}{TARGET}",
        f"https://{HOST}?@evil.example{TARGET}",
        f"https://{HOST}#@evil.example{TARGET}",
        f"https://{HOST};@evil.example{TARGET}",
        f"https://a@b@{HOST}{TARGET}",
        f"https://evil.example%40{HOST}{TARGET}",
    ],
    "a port": [
        f"https://{HOST}:80{TARGET}",
        f"https://{HOST}:8443{TARGET}",
        f"https://{HOST}:4430{TARGET}",
        f"https://{HOST}:0443{TARGET}",
        f"https://{HOST}:44{TARGET}",
        f"https://{HOST}:0{TARGET}",
        f"https://{HOST}:{TARGET}",
        f"https://{HOST}:-443{TARGET}",
        f"https://{HOST}:+443{TARGET}",
        f"https://{HOST}:443:443{TARGET}",
        f"https://{HOST}:65979{TARGET}",
        f"https://{HOST}:https{TARGET}",
        f"https://{HOST}:\u0664\u0664\u0663{TARGET}",
        f"https://{HOST}:%34%34%33{TARGET}",
    ],
    "a scheme": [
        f"http://{HOST}{TARGET}",
        f"http://{HOST}:443{TARGET}",
        f"HTTPS://{HOST}{TARGET}",
        f"Https://{HOST}{TARGET}",
        f"http\u017f://{HOST}{TARGET}",
        f"ftp://{HOST}{TARGET}",
        f"s3://{BUCKET}/{KEY}",
        f"file:///{BUCKET}/{KEY}",
        f"file://{HOST}{TARGET}",
        f"gopher://{HOST}{TARGET}",
        f"ws://{HOST}{TARGET}",
        f"wss://{HOST}{TARGET}",
        f"data:text/plain,https://{HOST}{TARGET}",
        f"javascript:https://{HOST}{TARGET}",
        f"url:https://{HOST}{TARGET}",
        f"https:https://{HOST}{TARGET}",
        f"https+unix://{HOST}{TARGET}",
        f"//{HOST}{TARGET}",
        f"://{HOST}{TARGET}",
        f"{HOST}{TARGET}",
        f"/{BUCKET}/{KEY}",
        f"https:/{HOST}{TARGET}",
        f"https:{HOST}{TARGET}",
        f"https:///{HOST}{TARGET}",
        f"https:////{HOST}{TARGET}",
        f"https//{HOST}{TARGET}",
        f"https%3A//{HOST}{TARGET}",
    ],
    "an address": [
        f"https://127.0.0.1/{BUCKET}/{KEY}",
        f"https://127.1/{BUCKET}/{KEY}",
        f"https://0/{BUCKET}/{KEY}",
        f"https://0.0.0.0/{BUCKET}/{KEY}",
        f"https://10.0.0.1/{BUCKET}/{KEY}",
        f"https://169.254.169.254/{BUCKET}/{KEY}",
        "https://169.254.169.254/latest/meta-data/iam/security-credentials/",
        f"https://169.254.169.254.{HOST}{TARGET}",
        f"https://2852039166/{BUCKET}/{KEY}",
        f"https://0xa9fea9fe/{BUCKET}/{KEY}",
        f"https://0xa9.0xfe.0xa9.0xfe/{BUCKET}/{KEY}",
        f"https://0251.0376.0251.0376/{BUCKET}/{KEY}",
        f"https://52.216.1.1/{BUCKET}/{KEY}",
        f"https://[::1]/{BUCKET}/{KEY}",
        f"https://[::]/{BUCKET}/{KEY}",
        f"https://[fd00:ec2::254]/{BUCKET}/{KEY}",
        f"https://[fe80::1%25eth0]/{BUCKET}/{KEY}",
        f"https://[::ffff:169.254.169.254]/{BUCKET}/{KEY}",
        f"https://[{HOST}]{TARGET}",
        f"https://[{TARGET}",
        f"https://::1/{BUCKET}/{KEY}",
    ],
    "an encoded host": [
        f"https://{BUCKET}%2Es3.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3%2eamazonaws.com{TARGET}",
        f"https://{BUCKET}.s3.amazonaws%2Ecom{TARGET}",
        f"https://{HOST}%2F{KEY}",
        f"https://{HOST}%2f@evil.example{TARGET}",
        f"https://evil.example%2F.{HOST}{TARGET}",
        f"https://evil.example%23.{HOST}{TARGET}",
        f"https://evil.example%3F.{HOST}{TARGET}",
        f"https://evil.example%00.{HOST}{TARGET}",
        f"https://{HOST}%00{TARGET}",
        f"https://{HOST}%20{TARGET}",
        f"https://{HOST}%0d%0aHost:evil.example{TARGET}",
        f"https://%63{HOST[1:]}{TARGET}",
    ],
    "a lookalike domain": [
        f"https://{HOST}.evil.example{TARGET}",
        f"https://{HOST}-evil.example{TARGET}",
        f"https://{HOST}evil.example{TARGET}",
        f"https://{HOST}.{TARGET}",
        f"https://{HOST}..{TARGET}",
        f"https://.{HOST}{TARGET}",
        f"https://{BUCKET}..s3.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3.amazonaws.co{TARGET}",
        f"https://{BUCKET}.s3.amazonaws.cm{TARGET}",
        f"https://{BUCKET}.s3.amazonaws.org{TARGET}",
        f"https://{BUCKET}.s3.amazonaws.comm{TARGET}",
        f"https://{BUCKET}.s3-amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3.amazonaws-com.example{TARGET}",
        f"https://{BUCKET}.s3.arnazonaws.com{TARGET}",
        f"https://{BUCKET}.s3.amazon.com{TARGET}",
        f"https://{BUCKET}.s3.aws.com{TARGET}",
        f"https://{BUCKET}.s3.api.aws{TARGET}",
        f"https://{BUCKET}.xs3.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3x.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s4.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3.amazonaws_com{TARGET}",
        f"https://{BUCKET}.s3_amazonaws.com{TARGET}",
        f"https://{BUCKET}-s3.amazonaws.com{TARGET}",
        f"https://xs3.amazonaws.com/{BUCKET}/{KEY}",
        f"https://s3.amazonaws.com.evil.example/{BUCKET}/{KEY}",
        f"https://s3.us-east-1.amazonaws.com.evil.example/{BUCKET}/{KEY}",
        f"https://s3.us-east-1.amazonaws.co/{BUCKET}/{KEY}",
        f"https://s3-amazonaws.com/{BUCKET}/{KEY}",
        f"https://evil.s3.amazonaws.com/{BUCKET}/{KEY}",
        f"https://evil.s3.{HOST}{TARGET}",
    ],
    "a character that only resembles it": [
        f"https://{BUCKET}.s3.am\u0430zonaws.com{TARGET}",
        f"https://{BUCKET}.s3.amazonaws.c\u043em{TARGET}",
        f"https://{BUCKET}.\u017f3.amazonaws.com{TARGET}",
        f"https://{BUCKET}.\u0455\u0033.amazonaws.com{TARGET}",
        f"https://{BUCKET}\u3002s3.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3\uff0eamazonaws.com{TARGET}",
        f"https://{BUCKET}.s3\uff61amazonaws.com{TARGET}",
        f"https://evil.example\uff0f.{HOST}{TARGET}",
        f"https://evil.example\uff03.{HOST}{TARGET}",
        f"https://evil.example\u2100.{HOST}{TARGET}",
        f"https://cloudf\u043ermation-custom-resource-response-useast1.s3.amazonaws.com{TARGET}",
        f"https://cloudformation\u2010custom-resource-response-useast1.s3.amazonaws.com{TARGET}",
        f"https://{BUCKET[:-1]}\u00b9.s3.amazonaws.com{TARGET}",
        f"https://{BUCKET[:-1]}\u0661.s3.amazonaws.com{TARGET}",
        f"https://{HOST}\u200b{TARGET}",
        f"https://{HOST}\u202e{TARGET}",
        f"https://{HOST}\u00ad{TARGET}",
        f"https://xn--{HOST}{TARGET}",
        f"https://{HOST}/\u00e9",
        f"https://{HOST}/{KEY}?\u00e9",
        f"https://{HOST}/\ud800",
        f"https://\udfff{HOST}{TARGET}",
        f"\ufeffhttps://{HOST}{TARGET}",
    ],
    "upper case": [
        f"https://{HOST.upper()}{TARGET}",
        f"https://{HOST.title()}{TARGET}",
        f"https://{BUCKET}.S3.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3.amazonaws.COM{TARGET}",
        f"https://{IRELAND}.s3.EU-WEST-1.amazonaws.com{TARGET}",
        f"https://s3.amazonaws.com/{BUCKET.upper()}/{KEY}",
    ],
    "a lookalike bucket": [
        f"https://cloudformation-custom-resource-response-evil.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-custom-resource-response-.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-custom-resource-response.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-custom-resource-response-useast1-evil.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-custom-resource-response-useast1evil.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-custom-resource-response-useast11.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-custom-resource-response-useast.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-custom-resource-response-useast1.evil.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-custom-resource-response-usevil1.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-custom-resource-response-us-east-1.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-custom-resource-response-useast-1.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-custom-resource-response-awsglobal.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-custom-resource-response--useast1.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-custom-resources-response-useast1.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-custom-resource-responses-useast1.s3.amazonaws.com{TARGET}",
        f"https://cloudformation_custom_resource_response_useast1.s3.amazonaws.com{TARGET}",
        f"https://evil-cloudformation-custom-resource-response-useast1.s3.amazonaws.com{TARGET}",
        f"https://xcloudformation-custom-resource-response-useast1.s3.amazonaws.com{TARGET}",
        f"https://evil.cloudformation-custom-resource-response-useast1.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-waitcondition-useast1.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-waitcondition-.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-waitcondition-us-east-1-evil.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-waitcondition-us-east-11.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-waitcondition-us-evil-1.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-waitcondition-aws-global.s3.amazonaws.com{TARGET}",
        f"https://evil-cloudformation-waitcondition-us-east-1.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-examples.s3.amazonaws.com{TARGET}",
        f"https://cf-templates-useast1.s3.amazonaws.com{TARGET}",
        f"https://evil.s3.us-east-1.amazonaws.com{TARGET}",
        f"https://evil.s3.amazonaws.com{TARGET}",
        f"https://s3.amazonaws.com/evil/{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}-evil/{KEY}",
        f"https://s3.amazonaws.com/evil-{BUCKET}/{KEY}",
        f"https://s3.amazonaws.com/evil/{BUCKET}/{KEY}",
        f"https://s3.us-east-1.amazonaws.com/{BUCKET}.evil/{KEY}",
        f"https://s3-us-west-2.amazonaws.com/cloudformation-waitcondition-uswest2/{KEY}",
    ],
    "another region's endpoint": [
        f"https://{BUCKET}.s3.us-west-2.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3-us-west-2.amazonaws.com{TARGET}",
        f"https://{IRELAND}.s3.us-east-1.amazonaws.com{TARGET}",
        f"https://{IRELAND}.s3.dualstack.eu-west-2.amazonaws.com{TARGET}",
        f"https://{IRELAND}.s3-fips.us-east-1.amazonaws.com{TARGET}",
        f"https://{WAIT}.s3.us-east-2.amazonaws.com{TARGET}",
        f"https://s3.us-west-2.amazonaws.com/{BUCKET}/{KEY}",
        f"https://s3-eu-west-1.amazonaws.com/{WAIT}/{KEY}",
        f"https://{BUCKET}.s3.useast1.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3.us-evil-1.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3.aws-global.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3.us-east-1.us-east-1.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3.us-east-1.evil.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3.us-east-1.s3.amazonaws.com{TARGET}",
        f"https://{BUCKET}.us-east-1.s3.amazonaws.com{TARGET}",
    ],
    "a region that there is not": [
        "https://cloudformation-custom-resource-response-usevil1.s3.us-evil-1.amazonaws.com/x",
        "https://cloudformation-waitcondition-us-evil-1.s3.us-evil-1.amazonaws.com/x",
        "https://cloudformation-waitcondition-us-evil-1.s3-us-evil-1.amazonaws.com/x",
        "https://s3.dualstack.us-evil-1.amazonaws.com/cloudformation-waitcondition-us-evil-1/x",
        "https://cloudformation-custom-resource-response-fipsuseast1.s3-fips-us-east-1.amazonaws.com/x",
        "https://cloudformation-waitcondition-fips-us-east-1.s3-fips-us-east-1.amazonaws.com/x",
        "https://cloudformation-waitcondition-website-us-east-1.s3-website-us-east-1.amazonaws.com/x",
        "https://cloudformation-waitcondition-aws-global.s3.aws-global.amazonaws.com/x",
        "https://s3-website-us-east-1.amazonaws.com/cloudformation-waitcondition-website-us-east-1/x",
    ],
    "another partition's suffix": [
        f"https://{BUCKET}.s3.us-east-1.amazonaws.com.cn{TARGET}",
        f"https://{BUCKET}.s3.us-east-1.amazonaws.eu{TARGET}",
        f"https://{BUCKET}.s3.us-east-1.c2s.ic.gov{TARGET}",
        f"https://{CHINA}.s3.cn-north-1.amazonaws.com{TARGET}",
        f"https://{CHINA}.s3.amazonaws.com.cn{TARGET}",
        f"https://{CHINA}.s3.amazonaws.com{TARGET}",
        f"https://{GOV}.s3.amazonaws.com{TARGET}",
        f"https://{GOV}.s3.us-gov-west-1.c2s.ic.gov{TARGET}",
        f"https://s3.amazonaws.com/{GOV}/{KEY}",
        f"https://s3.amazonaws.com.cn/{CHINA}/{KEY}",
        f"https://{BUCKET}.s3.amazonaws.com.cn{TARGET}",
        f"https://{BUCKET}.s3.amazonaws.eu{TARGET}",
        f"https://cloudformation-custom-resource-response-euscdeeast1.s3.amazonaws.eu{TARGET}",
        "https://cloudformation-custom-resource-response-euscdeeast1.s3.eusc-de-east-1.amazonaws.com/x",
        "https://cloudformation-custom-resource-response-usisoeast1.s3.us-iso-east-1.sc2s.sgov.gov/x",
        "https://cloudformation-custom-resource-response-usisobeast1.s3.us-isob-east-1.c2s.ic.gov/x",
        "https://cloudformation-custom-resource-response-usisoeast1.s3.us-iso-east-1.amazonaws.com/x",
        "https://cloudformation-custom-resource-response-usisoeast1.s3.c2s.ic.gov/x",
        "https://cloudformation-custom-resource-response-euisoewest1.s3.eu-isoe-west-1.adc-e.uk/x",
        "https://cloudformation-custom-resource-response-usisofsouth1.s3.us-isof-south-1.hci.ic.gov/x",
    ],
    "the global endpoint for a region that it does not serve": [
        f"https://cloudformation-custom-resource-response-apeast1.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-custom-resource-response-mewest1.s3.amazonaws.com{TARGET}",
        f"https://cloudformation-waitcondition-eu-south-1.s3.amazonaws.com{TARGET}",
        f"https://s3.amazonaws.com/cloudformation-custom-resource-response-afsouth1/{KEY}",
    ],
    "another face of S3": [
        f"https://{BUCKET}.s3-website.us-east-1.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3-website-us-east-1.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3-accelerate.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3-accelerate.dualstack.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3-accesspoint.us-east-1.amazonaws.com{TARGET}",
        f"https://{BUCKET}-123456789012.s3-accesspoint.us-east-1.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3-object-lambda.us-east-1.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3-outposts.us-east-1.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3-deprecated.us-east-1.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3-external-1.amazonaws.com{TARGET}",
        f"https://{BUCKET}.mrap.accesspoint.s3-global.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3express-use1-az4.us-east-1.amazonaws.com{TARGET}",
        f"https://{BUCKET}.bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com{TARGET}",
        f"https://123456789012.s3-control.us-east-1.amazonaws.com/{BUCKET}/{KEY}",
        f"https://s3-control.us-east-1.amazonaws.com/{BUCKET}/{KEY}",
        f"https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/{BUCKET}/{KEY}",
        f"https://a1b2c3d4e5.lambda-url.us-east-1.on.aws/{BUCKET}/{KEY}",
        f"https://{BUCKET}.dualstack.s3.us-east-1.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3.dualstack.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3-fips.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3-dualstack.us-east-1.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3.fips.us-east-1.amazonaws.com{TARGET}",
        f"https://{BUCKET}.s3.us-east-1.api.aws{TARGET}",
    ],
    "a path that leads elsewhere": [
        f"https://{HOST}",
        f"https://{HOST}/",
        f"https://{HOST}{SIGNED}",
        f"https://{HOST}/{SIGNED}",
        f"https://{HOST}//{KEY}",
        f"https://{HOST}/{KEY}//x",
        f"https://{HOST}/{KEY}/",
        f"https://{HOST}/.",
        f"https://{HOST}/..",
        f"https://{HOST}/./{KEY}",
        f"https://{HOST}/../{KEY}",
        f"https://{HOST}/%2e%2e/{KEY}",
        f"https://{HOST}/a/..%2fb",
        f"https://s3.amazonaws.com/{BUCKET}",
        f"https://s3.amazonaws.com/{BUCKET}/",
        f"https://s3.amazonaws.com/{BUCKET}/{SIGNED}",
        f"https://s3.amazonaws.com/{BUCKET}?{KEY}",
        f"https://s3.amazonaws.com//{BUCKET}/{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}//{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}%2F{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}/../evil/{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}/x/../../evil/{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}/%2e%2e/evil/{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}/%2E%2E/evil/{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}/.%2e/evil/{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}/%2e./evil/{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}/..%2Fevil/{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}%2F..%2Fevil/{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}/x%2F..%2F..%2Fevil",
        f"https://s3.amazonaws.com/{BUCKET}/..;/evil/{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}/..",
        f"https://s3.amazonaws.com/{BUCKET}/.?x",
        f"https://s3.amazonaws.com/./{BUCKET}/{KEY}",
        f"https://s3.amazonaws.com/../{BUCKET}/{KEY}",
        f"https://s3.amazonaws.com/evil/../{BUCKET}/{KEY}",
        f"https://s3.amazonaws.com/%63{BUCKET[1:]}/{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}%00/{KEY}",
        f"https://s3.amazonaws.com/{BUCKET};x/{KEY}",
        f"https://s3.amazonaws.com/?/{BUCKET}/{KEY}",
    ],
    "a backslash": [
        f"https:\\\\{HOST}{TARGET}",
        f"https:/\\{HOST}{TARGET}",
        f"https://evil.example\\{HOST}{TARGET}",
        f"https://evil.example\\@{HOST}{TARGET}",
        f"https://{HOST}\\@evil.example{TARGET}",
        f"https://{HOST}\\.evil.example{TARGET}",
        f"https://{HOST}\\{KEY}",
        f"https://{HOST}/\\evil.example",
        f"https://{HOST}/%5Cevil.example",
        f"https://{HOST}/x%5c..%5cy",
        f"https://s3.amazonaws.com\\{BUCKET}/{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}\\..\\evil/{KEY}",
    ],
    "a blank or control character": [
        f" https://{HOST}{TARGET}",
        f"https://{HOST}{TARGET} ",
        f"\thttps://{HOST}{TARGET}",
        f"\nhttps://{HOST}{TARGET}",
        f"https://{HOST}{TARGET}\n",
        f"https://{HOST}{TARGET}\r\n",
        f"https://{HOST}{TARGET}\r",
        f"https://{HOST}{TARGET}\0",
        f"\0https://{HOST}{TARGET}",
        f"\x01https://{HOST}{TARGET}",
        f"https://{HOST}{TARGET}\x7f",
        f"https://{HOST}{TARGET}\x85",
        f"https://{HOST}{TARGET}\u2028",
        f"https://{HOST}{TARGET}\u00a0",
        f"ht\ntps://{HOST}{TARGET}",
        f"https:\n//{HOST}{TARGET}",
        f"https:// {HOST}{TARGET}",
        f"https://{HOST} {TARGET}",
        f"https://{HOST}\t{TARGET}",
        f"https://{HOST}\n{TARGET}",
        f"https://{HOST}\0{TARGET}",
        f"https://{HOST}\0.evil.example{TARGET}",
        f"https://{HOST}\r\nHost: evil.example\r\n{TARGET}",
        f"https://evil.example\t.{HOST}{TARGET}",
        f"https://{HOST}/a b",
        f"https://{HOST}/a\tb",
        f"https://{HOST}/a\r\nX-Header: b",
        f"https://{HOST}/a HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        f"https://{HOST}/a%0D%0Ab",
        f"https://{HOST}/a%00b",
        f"https://{HOST}/a%7Fb",
        f"https://{HOST}/a?b c",
        f"https://{HOST}/a?b\r\nc",
        f"https://{HOST}/.\n./a",
    ],
    "a fragment": [
        f"https://{HOST}{TARGET}#",
        f"https://{HOST}{TARGET}#fragment",
        f"https://{HOST}#{TARGET}",
        f"https://{HOST}/#{TARGET}",
        f"https://{HOST}/{KEY}#{SIGNED}",
        f"https://evil.example#.{HOST}{TARGET}",
        f"https://evil.example/#{HOST}{TARGET}",
        f"https://evil.example?.{HOST}{TARGET}",
        f"https://s3.amazonaws.com/#/{BUCKET}/{KEY}",
        f"https://s3.amazonaws.com/{BUCKET}#/{KEY}",
    ],
    "a character that no URL has": [
        f"https://{HOST}/%",
        f"https://{HOST}/%4",
        f"https://{HOST}/%zz",
        f"https://{HOST}/%u0041",
        f"https://{HOST}/%C3%A9",
        f"https://{HOST}/{KEY}?%",
        f"https://{HOST}/{KEY}?%g0",
        f'https://{HOST}/"',
        f"https://{HOST}/<x>",
        f"https://{HOST}/{{x}}",
        f"https://{HOST}/a|b",
        f"https://{HOST}/a^b",
        f"https://{HOST}/a`b",
        f"https://{HOST}/[a]",
        f"https://{HOST}/{KEY}?[a]",
        f"https://{HOST}*{TARGET}",
        f"https://*.s3.amazonaws.com{TARGET}",
        f"https://{HOST},evil.example{TARGET}",
        f"https://{HOST} https://evil.example{TARGET}",
        f"https://{HOST}{TARGET},https://evil.example/#",
    ],
    "no URL at all": [
        "",
        " ",
        "\0",
        "/",
        "//",
        "?",
        "#",
        "https",
        "https:",
        "https:/",
        "https://",
        "https:///",
        "None",
        "null",
        "{}",
        "\ud800",
        "\U0010ffff",
        "https://\ud800/",
        "%",
        ".",
        "..",
    ],
    "a text that is too long": [
        f"https://{HOST}/" + "x" * 8192,
        f"https://{HOST}/" + "x" * 1_000_000,
        f"https://{HOST}/{KEY}?" + "x" * 1_000_000,
        f"https://{HOST}" + "/x" * 500_000,
        f"https://{HOST}/" + "%2F" * 300_000,
        "https://" + "a." * 500_000 + f"{HOST}/x",
        "https://" + "a" * 8000,
        f"https://{HOST}/" + "/" * 8000,
        f"https://{HOST}" + "/x" * 4000 + "/",
        f"https://{HOST}/" + "%" * 8000,
        " " * 1_000_000,
        "\ud800" * 1_000_000,
    ],
}
OF_NO_ORIGIN = [
    "http://127.0.0.1:4580",
    "http://127.0.0.1:4580/",
    "http://127.0.0.1:4580?x",
    "http://127.0.0.1:45800/answer",
    "http://127.0.0.1:458/answer",
    "http://127.0.0.1/answer",
    "http://127.0.0.1:4580@evil.example/answer",
    "http://127.0.0.1:4580.evil.example/answer",
    "http://user@127.0.0.1:4580/answer",
    "https://127.0.0.1:4580/answer",
    "HTTP://127.0.0.1:4580/answer",
    "http://localhost:4580/answer",
    " http://127.0.0.1:4580/answer",
    "http://127.0.0.1:4580//answer",
    "http://127.0.0.1:4580//evil.example/answer",
    "http://127.0.0.1:4580\\answer",
    "http://127.0.0.1:4580/\\answer",
    "http://127.0.0.1:4580/../answer",
    "http://127.0.0.1:4580/a/%2e%2E/answer",
    "http://127.0.0.1:4580/answer#fragment",
    "http://127.0.0.1:4580/answer\n",
    "http://127.0.0.1:4580/answer HTTP/1.1",
    "http://127.0.0.1:4580/answ\u00e9r",
    "http://127.0.0.1:4580/\ud800",
    "http://127.0.0.1:4580/" + "x" * 1_000_000,
]


@pytest.fixture(autouse=True)
def _no_region_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)


def answered(urls: Iterable[str], origin: str | None) -> list[str]:
    """Those of the URLs that may be answered, as a failed test can show them."""
    return [ascii(url)[:300] for url in urls if may_be_answered(url, origin)]


def refused(urls: Iterable[str], origin: str | None) -> list[str]:
    """Those of the URLs that may not be answered."""
    return [url for url in urls if not may_be_answered(url, origin)]


def is_sent_to(url: str, host: str, path: str) -> bool:
    """Whether urllib3 sends a request for the URL to this host and path, by HTTPS."""
    parts = parse_url(url)
    destination = (parts.scheme, parts.auth, parts.host, parts.path)
    return destination == ("https", None, host, path) and parts.port in (None, 443)


def test_urls_as_cloudformation_makes_them_may_be_answered() -> None:
    assert refused(SEEN, None) == []
    assert refused(SEEN, ORIGIN) == []


def test_all_partitions_are_tried() -> None:
    assert {suffix for _, suffix in REGIONS} == set(SUFFIXES.values())


def test_every_region_may_be_answered_at_its_endpoints() -> None:
    wrong = []
    for (region, suffix), endpoint, port in itertools.product(REGIONS, ENDPOINTS, ["", ":443"]):
        host = endpoint.format(region=region, suffix=suffix)
        bare = region.replace("-", "")
        for bucket in (
            f"cloudformation-custom-resource-response-{bare}",
            f"cloudformation-waitcondition-{region}",
        ):
            hosted = f"https://{bucket}.{host}{port}{TARGET}"
            in_path = f"https://{host}{port}/{bucket}{TARGET}"
            wrong += refused([hosted, in_path], None)
            if not is_sent_to(hosted, f"{bucket}.{host}", f"/{KEY}"):
                wrong.append(f"{hosted} is sent elsewhere")
            if not is_sent_to(in_path, host, f"/{bucket}/{KEY}"):
                wrong.append(f"{in_path} is sent elsewhere")

    assert wrong == []


def test_the_global_endpoint_is_that_of_the_regions_it_serves() -> None:
    wrong = []
    for region, suffix in REGIONS:
        bucket = f"cloudformation-waitcondition-{region}"
        of_aws = [
            f"https://{bucket}.s3.amazonaws.com{TARGET}",
            f"https://s3.amazonaws.com/{bucket}{TARGET}",
        ]
        serves = region in OPENED_BEFORE_MARCH_2019
        wrong += refused(of_aws, None) if serves else answered(of_aws, None)
        if suffix != "amazonaws.com":
            of_partition = [
                f"https://{bucket}.s3.{suffix}{TARGET}",
                f"https://s3.{suffix}/{bucket}{TARGET}",
            ]
            wrong += answered(of_partition, None)

    assert wrong == []


@pytest.mark.parametrize(
    "target", ["/x", "/x?", f"/{KEY}", f"/{KEY}{SIGNED_OF_OLD}", "/a.b/c..d?e=/../f"]
)
def test_a_signature_is_not_demanded(target: str) -> None:
    assert may_be_answered(f"https://{HOST}{target}", None)


def test_a_bucket_is_not_that_of_any_other_region() -> None:
    for region, _ in REGIONS:
        for other, suffix in REGIONS:
            host = f"s3.{other}.{suffix}"
            url = f"https://cloudformation-waitcondition-{region}.{host}/x"
            assert may_be_answered(url, None) == (region == other)


@pytest.mark.parametrize(
    ("own", "host"),
    [
        ("eu-polar-1", "s3.eu-polar-1.amazonaws.com"),
        ("us-gov-polar-1", "s3.us-gov-polar-1.amazonaws.com"),
        ("cn-polar-1", "s3.cn-polar-1.amazonaws.com.cn"),
        ("us-isob-polar-1", "s3.us-isob-polar-1.sc2s.sgov.gov"),
    ],
)
def test_the_functions_own_region_may_be_newer_than_what_is_known(
    monkeypatch: pytest.MonkeyPatch, own: str, host: str
) -> None:
    bucket = f"cloudformation-custom-resource-response-{own.replace('-', '')}"
    url = f"https://{bucket}.{host}{TARGET}"
    assert not may_be_answered(url, None)

    monkeypatch.setenv("AWS_REGION", own)

    assert may_be_answered(url, None)
    assert may_be_answered(f"https://{host}/{bucket}{TARGET}", None)
    assert all(may_be_answered(seen, None) for seen in SEEN)
    assert not may_be_answered(f"https://{bucket}.s3.amazonaws.com{TARGET}", None)
    assert not may_be_answered(url.replace("polar-1", "polar-2"), None)
    assert not may_be_answered(url.replace(host, f"{host}.evil"), None)


def test_an_own_region_of_a_kind_that_is_not_known_is_one_of_the_aws_partition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket, host = BUCKET.replace("useast1", "oceansouth1"), "s3.ocean-south-1.amazonaws.com"
    assert not may_be_answered(f"https://{bucket}.{host}{TARGET}", None)

    monkeypatch.setenv("AWS_REGION", "ocean-south-1")

    assert may_be_answered(f"https://{bucket}.{host}{TARGET}", None)
    assert not may_be_answered(f"https://{bucket}.s3.amazonaws.com{TARGET}", None)


@pytest.mark.parametrize("own", ["aws-global", "evil", "", ".", "us-evil-1\n", "us-evil-1/x"])
def test_an_own_region_that_is_none_adds_nothing(monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    monkeypatch.setenv("AWS_REGION", own)

    for bucket in (f"cloudformation-waitcondition-{own}", BUCKET.replace("useast1", own)):
        assert not may_be_answered(f"https://{bucket}.s3.{own}.amazonaws.com/x", None)
    assert all(may_be_answered(seen, None) for seen in SEEN)


def test_the_bad_urls_are_many_and_distinct() -> None:
    urls = [url for urls in BAD.values() for url in urls]

    assert len(set(urls)) == len(urls) >= 200


@pytest.mark.parametrize("kind", BAD)
def test_nothing_else_may_be_answered(kind: str) -> None:
    assert answered(BAD[kind], None) == []
    assert answered(BAD[kind], ORIGIN) == []


@pytest.mark.parametrize(
    "path", ["/answer?X-Amz-Signature=s3cr3t", TARGET, "/a", f"/{BUCKET}/arn%3Aaws%7C1%2F2?x=%2F"]
)
def test_the_sandboxs_origin_may_be_answered_where_it_is_allowed(path: str) -> None:
    assert may_be_answered(f"{ORIGIN}{path}", ORIGIN)
    assert not may_be_answered(f"{ORIGIN}{path}", None)
    assert not may_be_answered(f"{ORIGIN}{path}", "http://127.0.0.1:1")


def test_only_exactly_the_sandboxs_origin_may_be_answered() -> None:
    assert answered(OF_NO_ORIGIN, ORIGIN) == []


@pytest.mark.parametrize("url", ["", "/", "/answer", "//evil.example/answer", f"{ORIGIN}/a"])
def test_an_empty_origin_allows_nothing(url: str) -> None:
    assert not may_be_answered(url, "")


def test_a_long_signature_has_room() -> None:
    token = re.sub("/", "%2F", "FwoGZXIvYXdzE/" * 120)

    assert may_be_answered(f"https://{HOST}{TARGET}&X-Amz-Security-Token={token}", None)


def test_the_bucket_of_a_url_has_a_place() -> None:
    found = {
        (region, host): place(f"https://{host}/{TARGET[1:]}")
        for region, suffix in REGIONS
        for endpoint in ENDPOINTS
        for bucket in (
            f"cloudformation-custom-resource-response-{region.replace('-', '')}",
            f"cloudformation-waitcondition-{region}",
        )
        for host in (f"{bucket}.{endpoint.format(region=region, suffix=suffix)}",)
    }

    regions = {each.region for each in found.values() if each}
    assert regions == {region for region, _ in REGIONS}
    assert [key for key, each in found.items() if not each or each.region != key[0]] == []
    assert place(SEEN[0]) == Place("aws", "us-east-1")
    assert place(f"https://s3.amazonaws.com/{IRELAND}{TARGET}") == Place("aws", "eu-west-1")
    assert place(f"https://{CHINA}.s3.cn-north-1.amazonaws.com.cn{TARGET}") == Place(
        "aws-cn", "cn-north-1"
    )
    assert place(f"https://{GOV}.s3.us-gov-west-1.amazonaws.com{TARGET}") == Place(
        "aws-us-gov", "us-gov-west-1"
    )


@pytest.mark.parametrize("url", [f"{ORIGIN}/{BUCKET}{TARGET}", "", BAD["another host"][0]])
def test_what_is_not_cloudformations_has_no_place(url: str) -> None:
    assert place(url) is None


STACK = (
    "arn:aws:cloudformation:us-east-1:123456789012:stack/web/2d213470-3bbd-11ea-a35f-06b8fd1f0384"
)
NAMED = Subject(STACK, "Bundle", "5c8ba6aa-1752-4e3d-8439-5c2e438438aa")
QUOTED = KEY.replace("/", "%2F")


@pytest.mark.parametrize(
    "url",
    [
        f"https://{HOST}{TARGET}",
        f"https://{HOST}/{QUOTED}",
        f"https://{HOST}/{QUOTED.replace('%3A', ':').replace('%2F', '/')}{SIGNED_OF_OLD}",
        f"https://s3.amazonaws.com/{BUCKET}{TARGET}",
        f"https://s3.us-east-1.amazonaws.com:443/{BUCKET}/{QUOTED}",
        f"{ORIGIN}/cloudformation-custom-resource-response-us-east-1/{QUOTED}{SIGNED}",
        f"{ORIGIN}{TARGET}",
    ],
)
def test_a_key_of_the_known_form_names_what_an_answer_is_about(url: str) -> None:
    assert may_be_answered(url, ORIGIN)
    assert subject(url, ORIGIN) == NAMED


@pytest.mark.parametrize(
    "path",
    [
        "answer",
        "responses/create",
        f"{QUOTED}%7Cmore",
        "arn%3Aaws%3Acloudformation%3Aus-east-1%3A123456789012%3Astack%2Fweb%2F1%2FHandle",
        "arn%3Aaws%7C%7Cr1",
        "stack%7CBundle%7Cr1",
    ],
)
def test_another_key_names_nothing(path: str) -> None:
    for url in (f"https://{HOST}/{path}", f"https://s3.amazonaws.com/{BUCKET}/{path}"):
        assert may_be_answered(url, None)
        assert subject(url, None) is None
    assert subject(f"{ORIGIN}/{path}", ORIGIN) is None
