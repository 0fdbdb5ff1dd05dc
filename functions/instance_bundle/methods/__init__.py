"""How an image of an instance is made: BundleInstance, or CreateImage and CreateStoreImageTask.

This room guarantees that work is started once, that started work is found again after a crash, and
that only what a request made is removed.

Example:
    methods = Methods({"StoreImage": StoreImage(limits)})
    task = methods.named("StoreImage").start(work)
"""

from instance_bundle.aws import Written
from instance_bundle.methods.bundle_instance import BundleInstance
from instance_bundle.methods.method import Bundle, Method, Task, Work, known, parsed, utc
from instance_bundle.methods.registry import Methods
from instance_bundle.methods.store_image import StoreImage, object_uri
from instance_bundle.methods.store_task import BUCKET_TAG

__all__ = [
    "BUCKET_TAG",
    "Bundle",
    "BundleInstance",
    "Method",
    "Methods",
    "StoreImage",
    "Task",
    "Work",
    "Written",
    "known",
    "object_uri",
    "parsed",
    "utc",
]
