"""P-KDGAN: a small detector taught by a large one (papers 000 and 001)."""
