"""What the node says of itself: metrics, logs, traces."""
