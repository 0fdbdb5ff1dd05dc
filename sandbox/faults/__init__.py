"""Faults that are injected into calls, deliveries and functions."""
