"""A partition in the forms that other programs read."""
