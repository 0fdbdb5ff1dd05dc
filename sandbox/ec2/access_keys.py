"""The access keys of the sandbox's accounts, as far as they can sign without a session token."""

from moto.iam.models import iam_backends

from sandbox.clients import CREDENTIALS


def secret_of(account_id: str, partition: str, access_key_id: str) -> str | None:
    """The secret access key of an active access key; None if there is no such key.

    Known are the keys of the account's users, and the sandbox's own.
    """
    if access_key_id == CREDENTIALS["AWS_ACCESS_KEY_ID"]:
        return CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
    users = iam_backends[account_id][partition].users.values()
    keys = [key for user in list(users) for key in user.access_keys]
    return next(
        (
            key.secret_access_key
            for key in keys
            if key.access_key_id == access_key_id and key.status == "Active"
        ),
        None,
    )
