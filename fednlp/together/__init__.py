"""Several clients trained at once: weights [K, P], one forward and backward for all of them."""
