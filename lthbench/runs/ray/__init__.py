"""The `ray` executor: the same workers on the nodes of a cluster."""
