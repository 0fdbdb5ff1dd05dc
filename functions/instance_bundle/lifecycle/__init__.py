"""What a request means, and its next step.

This room guarantees that each Create, Update and Delete has one outcome, whatever requests came
before it, however often it is delivered, and wherever a process crashed.

Example:
    outcome = Lifecycle(ledger, methods, limits).drive(record)
"""

from instance_bundle.lifecycle.forecasting import Forecast, Planned, forecast
from instance_bundle.lifecycle.lifecycle import Described, Lifecycle
from instance_bundle.lifecycle.next_step import id_of_failure
from instance_bundle.methods import Bundle

__all__ = [
    "Bundle",
    "Described",
    "Forecast",
    "Lifecycle",
    "Planned",
    "forecast",
    "id_of_failure",
]
