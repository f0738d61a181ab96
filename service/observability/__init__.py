"""What operators are told of the work.

health     checks that run a command
logs       one JSON object a line
metrics    what Prometheus is told
telemetry  traces for OpenTelemetry
"""
