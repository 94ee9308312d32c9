"""The server: the application of the node, who asks, what is answered, and the process that listens."""
