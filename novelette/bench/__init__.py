"""Grids of runs by the papers' protocols, their records, and tables beside the published numbers."""
