"""Direct calls of S3, each with all that it answers."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.clients import Clients

from .refused import refused


def drive(clients: Clients) -> None:
    """Call each operation, and have each refuse something."""
    s3: Any = clients.s3
    bucket, locked = (f"judged-{uuid.uuid4().hex}" for _ in range(2))
    s3.create_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=locked, ObjectLockEnabledForBucket=True)
    s3.list_buckets()
    s3.head_bucket(Bucket=bucket)
    s3.get_bucket_location(Bucket=bucket)
    s3.get_bucket_versioning(Bucket=bucket)
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    s3.get_bucket_notification_configuration(Bucket=bucket)
    _objects(clients, bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.get_bucket_versioning(Bucket=bucket)
    _objects(clients, bucket)
    versions = s3.list_object_versions(Bucket=bucket)
    s3.list_object_versions(Bucket=bucket, MaxKeys=1)
    every = [*versions["Versions"], *versions["DeleteMarkers"]]
    s3.delete_objects(
        Bucket=bucket,
        Delete={"Objects": [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in every]},
    )
    _uploads(clients, bucket)
    _locks(clients, locked)
    s3.delete_bucket(Bucket=bucket)
    missing = f"judged-{uuid.uuid4().hex}"
    refusals: dict[str, dict[str, Any]] = {
        "head_bucket": {},
        "list_objects_v2": {},
        "get_object": {"Key": "a"},
        "head_object": {"Key": "a"},
        "put_object": {"Key": "a"},
        "delete_objects": {"Delete": {"Objects": [{"Key": "a"}]}},
        "delete_bucket": {},
    }
    for call, request in refusals.items():
        refused(s3, call, Bucket=missing, **request)
    refused(s3, "get_object", Bucket=locked, Key="missing")
    refused(s3, "create_bucket", Bucket="Not_A_Name-")


def _objects(clients: Clients, bucket: str) -> None:
    s3: Any = clients.s3
    put = s3.put_object(Bucket=bucket, Key="a", Body=b"text", Metadata={"b": "c"})
    s3.put_object(Bucket=bucket, Key="b", Body=b"text", Tagging="a=b", ContentType="text/plain")
    s3.head_object(Bucket=bucket, Key="a")
    s3.get_object(Bucket=bucket, Key="a")["Body"].read()
    s3.get_object(Bucket=bucket, Key="a", Range="bytes=1-2")["Body"].read()
    refused(s3, "get_object", Bucket=bucket, Key="a", IfNoneMatch=put["ETag"])
    refused(s3, "delete_object", Bucket=bucket, Key="a", IfMatch='"0"')
    s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "a"})
    s3.list_objects_v2(Bucket=bucket, MaxKeys=1)
    s3.list_objects_v2(Bucket=bucket, Delimiter="/", Prefix="a", FetchOwner=True)
    s3.delete_object(Bucket=bucket, Key="a")
    entries = [{"Key": "b"}, {"Key": "c", "ETag": '"0"'}, {"Key": "missing"}]
    s3.delete_objects(Bucket=bucket, Delete={"Objects": entries})
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "c"}], "Quiet": True})
    s3.list_objects_v2(Bucket=bucket)


def _uploads(clients: Clients, bucket: str) -> None:
    s3: Any = clients.s3
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"text")
    s3.list_multipart_uploads(Bucket=bucket)
    made = s3.complete_multipart_upload(
        Bucket=bucket,
        Key="m",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    other = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    s3.abort_multipart_upload(Bucket=bucket, Key="m", UploadId=other)
    refused(s3, "abort_multipart_upload", Bucket=bucket, Key="m", UploadId=other)
    s3.delete_object(Bucket=bucket, Key="m", VersionId=made["VersionId"])


def _locks(clients: Clients, bucket: str) -> None:
    s3: Any = clients.s3
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(days=2)}
    configuration = {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
    }
    s3.put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration=configuration,
    )
    s3.get_object_lock_configuration(Bucket=bucket)
    version = s3.put_object(Bucket=bucket, Key="a", Body=b"text")["VersionId"]
    s3.put_object_retention(Bucket=bucket, Key="a", Retention=retention)
    s3.get_object_retention(Bucket=bucket, Key="a")
    s3.put_object_legal_hold(Bucket=bucket, Key="a", LegalHold={"Status": "ON"})
    s3.get_object_legal_hold(Bucket=bucket, Key="a")
    s3.head_object(Bucket=bucket, Key="a", VersionId=version)
    s3.get_object(Bucket=bucket, Key="a", VersionId=version)["Body"].read()
    refused(s3, "delete_object", Bucket=bucket, Key="a", VersionId=version)
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a", "VersionId": version}]})
