"""AWS on one machine: moto, and what moto lacks. Never shipped."""

import copy
import functools
import os
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader

PUBLIC_IMAGES = Path(__file__).parent / "ec2" / "public_images.json"
"""The public AMIs of each Region, in the form that moto reads."""

# moto reads this variable when it is imported. Without it, moto makes 1,300 AMIs, each with a
# volume and a snapshot, whenever the EC2 of a Region is first used.
os.environ.setdefault("MOTO_AMIS_PATH", str(PUBLIC_IMAGES))

# So it does this one. It would let pages of every origin read all answers (CORS).
os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"

# Each session of boto3 reads the models of AWS's APIs for itself, half a second for EC2's, and moto
# makes three sessions while it is imported.
_read_once = functools.cache(JSONFileLoader().load_file)


def _load(file_path: str) -> Any:
    """A model; of S3's a copy: botocore changes the one of a client, and moto routes by its own."""
    found = _read_once(file_path)
    return copy.deepcopy(found) if f"{os.sep}s3{os.sep}" in file_path else found


JSONFileLoader.load_file = staticmethod(_load)  # type: ignore[method-assign,assignment]
