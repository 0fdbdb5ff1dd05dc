"""AWS on one machine: moto, and what moto lacks. Never shipped."""

import os
from pathlib import Path

PUBLIC_IMAGES = Path(__file__).parent / "ec2" / "public_images.json"
"""The public AMIs of each Region, in the form that moto reads."""

# moto reads this variable when it is imported. Without it, moto makes 1,300 AMIs, each with a
# volume and a snapshot, whenever the EC2 of a Region is first used.
os.environ.setdefault("MOTO_AMIS_PATH", str(PUBLIC_IMAGES))
