"""The ledger's tables: encryption, expiry of items, recovery, and protection from deletion."""

from collections.abc import Iterator
from typing import Any

from cli.doctor.findings import Finding, aws, problem
from cli.doctor.site import Site

_MISSING = ("ResourceNotFoundException",)
_LEDGER = "LedgerTable"
_WORKING = ("ACTIVE", "UPDATING")


def _tables(site: Site) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Logical ID, name and properties of each table; the ledger's may be one that an earlier
    installation left, which should be as the template's own."""
    for logical_id in {
        _LEDGER: None,
        **dict.fromkeys(site.template.of_type("AWS::DynamoDB::Table")),
    }:
        name = site.table if logical_id == _LEDGER else site.template.ids[logical_id]
        yield logical_id, name, site.template.properties(logical_id)


def tables(site: Site) -> Iterator[Finding]:
    """Whether each table is there, encrypted, and protected as the template says."""
    for logical_id, name, wanted in _tables(site):
        found = site.reader.read("dynamodb:DescribeTable", absent=_MISSING, TableName=name)
        if found is None:
            yield problem(
                f"{logical_id} ({name}) does not exist.",
                "No request is handled, and what stacks own is not known. Restore it from its"
                " point-in-time recovery.",
                aws("dynamodb", "list-backups", "--backup-type", "ALL", "--table-name", name),
            )
        else:
            yield from _described(logical_id, found["Table"], wanted)


def _described(logical_id: str, found: dict[str, Any], wanted: dict[str, Any]) -> Iterator[Finding]:
    name = found["TableName"]
    if found["TableStatus"] not in _WORKING:
        yield problem(
            f"{logical_id} ({name}) is {found['TableStatus']}.",
            "No request is handled.",
            aws("dynamodb", "describe-table", "--table-name", name),
        )
    encryption = wanted.get("SSESpecification", {})
    key = encryption.get("KMSMasterKeyId")
    has = found.get("SSEDescription", {})
    is_on = has.get("Status") in ("ENABLED", "UPDATING")
    if encryption and (not is_on or (key and has.get("KMSMasterKeyArn") != key)):
        specification = f"Enabled=true,SSEType=KMS{f',KMSMasterKeyId={key}' if key else ''}"
        yield problem(
            f"{logical_id} ({name}) is not encrypted by {key or 'the AWS managed key'}.",
            "Everyone who may read the table can read what it holds, or a key that is no longer"
            " yours can close it.",
            aws(
                *("dynamodb", "update-table", "--table-name", name),
                *("--sse-specification", specification),
            ),
        )
    if wanted.get("DeletionProtectionEnabled") and not found.get("DeletionProtectionEnabled"):
        yield problem(
            f"{logical_id} ({name}) is not protected from deletion.",
            "Without it, what stacks own is not known.",
            aws(
                *("dynamodb", "update-table", "--table-name", name),
                "--deletion-protection-enabled",
            ),
        )


def expiry(site: Site) -> Iterator[Finding]:
    """Whether DynamoDB removes what has expired."""
    for logical_id, name, wanted in _tables(site):
        if "TimeToLiveSpecification" not in wanted:
            continue
        attribute = wanted["TimeToLiveSpecification"]["AttributeName"]
        found = site.reader.read("dynamodb:DescribeTimeToLive", absent=_MISSING, TableName=name)
        described = (found or {}).get("TimeToLiveDescription", {})
        is_on = described.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
        if found is not None and not (is_on and described["AttributeName"] == attribute):
            yield problem(
                f"Items of {logical_id} ({name}) do not expire by {attribute}.",
                "The table grows, and each command reads all of it.",
                aws(
                    *("dynamodb", "update-time-to-live", "--table-name", name),
                    "--time-to-live-specification",
                    f"Enabled=true,AttributeName={attribute}",
                ),
            )


def recovery(site: Site) -> Iterator[Finding]:
    """Whether each table can be restored that the template says can."""
    for logical_id, name, wanted in _tables(site):
        recovered = wanted.get("PointInTimeRecoverySpecification", {})
        if not recovered.get("PointInTimeRecoveryEnabled"):
            continue
        found = site.reader.read(
            "dynamodb:DescribeContinuousBackups",
            absent=(*_MISSING, "TableNotFoundException"),
            TableName=name,
        )
        description = (found or {}).get("ContinuousBackupsDescription", {})
        status = description.get("PointInTimeRecoveryDescription", {})
        if found is not None and status.get("PointInTimeRecoveryStatus") != "ENABLED":
            yield problem(
                f"Point-in-time recovery of {logical_id} ({name}) is disabled.",
                "If the table is lost, what stacks own is not known.",
                aws(
                    *("dynamodb", "update-continuous-backups", "--table-name", name),
                    "--point-in-time-recovery-specification",
                    "PointInTimeRecoveryEnabled=true",
                ),
            )
