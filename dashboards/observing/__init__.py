"""Observing: what the node tells about itself. Metrics, logs, traces, and the watch that a terminal shows."""
