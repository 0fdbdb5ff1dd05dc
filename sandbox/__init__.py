"""AWS on one machine: moto, and what moto lacks. Never shipped."""

import functools
import os
from pathlib import Path

from botocore.loaders import JSONFileLoader

PUBLIC_IMAGES = Path(__file__).parent / "ec2" / "public_images.json"
"""The public AMIs of each Region, in the form that moto reads."""

# moto reads this variable when it is imported. Without it, moto makes 1,300 AMIs, each with a
# volume and a snapshot, whenever the EC2 of a Region is first used.
os.environ.setdefault("MOTO_AMIS_PATH", str(PUBLIC_IMAGES))

# Each session of boto3 reads the models of AWS's APIs for itself, half a second for EC2's, and moto
# makes three sessions while it is imported.
_read_once = functools.cache(JSONFileLoader().load_file)
JSONFileLoader.load_file = staticmethod(_read_once)  # type: ignore[method-assign]
