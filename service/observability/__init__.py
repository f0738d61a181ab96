"""What operators see of the work.

health     health checks that run a command
logs       one JSON object per line
metrics    metrics for Prometheus
telemetry  traces for OpenTelemetry
"""
