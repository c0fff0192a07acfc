"""The parts of the synthetic lake: the world's goods, people and their lives, the events they leave, scenarios."""
