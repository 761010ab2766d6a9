"""The technical report's experiments that are small enough to be run in a minute: `novelette study`."""
