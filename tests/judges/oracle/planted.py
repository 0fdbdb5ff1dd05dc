"""Answers with one fault each, which the oracle has to find: call, status, headers, body, and what
it is to say."""

_EC2 = (
    '<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
    "<requestId>a</requestId><imagesSet><item>{}</item></imagesSet></DescribeImagesResponse>"
)
_STACKS = (
    '<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">'
    "<DescribeStacksResult><Stacks><member>{}</member></Stacks></DescribeStacksResult>"
    "<ResponseMetadata><RequestId>a</RequestId></ResponseMetadata></DescribeStacksResponse>"
)
_STACK = (
    "<StackName>a</StackName><CreationTime>2026-01-01T00:00:00Z</CreationTime>"
    "<StackStatus>CREATE_COMPLETE</StackStatus>"
)
_ERROR = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>Odd</Code><Message>a</Message></Error>"
    "<RequestId>a</RequestId></ErrorResponse>"
)
_RULES = {"content-type": "application/x-amz-json-1.1"}
_QUEUES = {"content-type": "application/x-amz-json-1.0"}

RIGHT: list[tuple[str, int, dict[str, str], str]] = [
    ("ec2:DescribeImages", 200, {}, _EC2.format("<imageId>ami-1</imageId>")),
    ("cloudformation:DescribeStacks", 200, {}, _STACKS.format(_STACK)),
    ("events:ListRules", 200, _RULES, '{"Rules": [{"Name": "a", "State": "ENABLED"}]}'),
    ("sqs:ReceiveMessage", 200, _QUEUES, "{}"),
    ("s3:PutBucketVersioning", 200, {}, ""),
]
"""Answers without one, of the same calls."""

WRONG: list[tuple[str, int, dict[str, str], str, str]] = [
    ("ec2:DescribeImages", 200, {}, _EC2.format("<nothing>a</nothing>"), "is no member of Image"),
    ("ec2:DescribeImages", 200, {}, _EC2.format("<isPublic>yes</isPublic>"), "is no boolean"),
    (
        "ec2:DescribeImages",
        200,
        {},
        _EC2.format("<imageState>ready</imageState>"),
        "is no string of",
    ),
    ("ec2:DescribeImages", 200, {}, _EC2.format("<tagSet>a</tagSet><tagSet/>"), "is there 2 times"),
    (
        *("ec2:DescribeImages", 200, {}),
        *(_EC2.format("<tagSet><tag/></tagSet>"), "is <tag>, not <item>"),
    ),
    (
        *("ec2:DescribeImages", 200, {}),
        *(_EC2.format("").replace("requestId", "id"), "requestId: is missing"),
    ),
    ("ec2:DescribeImages", 200, {}, _EC2.format("").replace("2016", "2015"), "the namespace is"),
    ("ec2:DescribeImages", 404, {"content-type": "text/html"}, "<html/>", "a page of HTML"),
    ("ec2:DescribeImages", 400, {}, "<Response><Errors/></Response>", "an error begins"),
    (
        *("cloudformation:DescribeStacks", 200, {}),
        *(_STACKS.format("<StackName>a</StackName>"), "StackStatus: is missing"),
    ),
    (
        *("cloudformation:DescribeStacks", 200, {}),
        *(_STACKS.format(_STACK.replace("00Z", "00")), "is no timestamp"),
    ),
    (
        *("cloudformation:DescribeStacks", 200, {}),
        *(_STACKS.format(_STACK.replace("CREATE_", "MADE_")), "is no string of StackStatus"),
    ),
    (
        *("cloudformation:ExecuteChangeSet", 400, {}),
        _ERROR,
        "Odd is no error of ExecuteChangeSet",
    ),
    ("events:ListRules", 200, _RULES, '{"Rules": [{"Owner": "a"}]}', "is no member of Rule"),
    ("events:ListRules", 200, _RULES, '{"Rules": {}}', "is no list"),
    ("events:ListRules", 200, _RULES, '{"NextToken": null}', "is null"),
    ("events:ListRules", 200, _QUEUES, "{}", "the content type is"),
    ("events:ListRules", 200, _RULES, "{", "can't be read"),
    ("sqs:SendMessageBatch", 200, _QUEUES, '{"Successful": []}', "Failed: is missing"),
    ("sqs:SendMessage", 400, _QUEUES, '{"__type": "a#Odd"}', "Odd is no error of SendMessage"),
    ("lambda:GetFunction", 404, {}, '{"Message": "a"}', "an error has no code"),
    ("s3:PutBucketVersioning", 200, {}, "<html/>", "there is a body"),
    ("s3:HeadObject", 200, {"x-amz-odd": "a"}, "", "is no member of HeadObjectOutput"),
    ("s3:HeadObject", 200, {"last-modified": "2026-01-01"}, "", "is no timestamp"),
]
"""Answers with one."""
