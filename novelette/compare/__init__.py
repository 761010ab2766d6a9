"""Several methods on the same pictures, each in a process of its own: `novelette compare`."""
