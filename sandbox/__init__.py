"""AWS on one machine: moto, and what moto lacks. Never shipped."""
