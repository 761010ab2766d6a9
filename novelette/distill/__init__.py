"""P-KDGAN: a small detector taught by a large one."""
