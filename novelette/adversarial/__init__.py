"""A discriminator and what it learns from: the players, where novelties come from, and what keeps the game in bounds."""
