"""The functions' log groups."""

from collections.abc import Iterator

from cli.doctor.findings import Finding, aws, problem
from cli.doctor.site import Site


def groups(site: Site) -> Iterator[Finding]:
    """Whether the log groups are there."""
    for logical_id in site.template.of_type("AWS::Logs::LogGroup"):
        name = site.template.ids[logical_id]
        found = site.reader.read("logs:DescribeLogGroups", logGroupNamePrefix=name)["logGroups"]
        if name not in {group["logGroupName"] for group in found}:
            days = str(site.template.properties(logical_id)["RetentionInDays"])
            yield problem(
                f"{logical_id} ({name}) does not exist.",
                "The function's log lines are lost.",
                aws("logs", "create-log-group", "--log-group-name", name),
                aws(
                    *("logs", "put-retention-policy", "--log-group-name", name),
                    *("--retention-in-days", days),
                ),
            )
