"""A real federation: the server and its clients are processes of their own, FedML carries it."""
