"""The node: the process that serves a HOME. Web pages and the HTTP API stand on this floor, too."""
