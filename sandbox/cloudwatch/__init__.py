"""CloudWatch's alarms, evaluated; and metrics that AWS publishes, and moto doesn't."""
