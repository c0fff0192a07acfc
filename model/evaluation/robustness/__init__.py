"""What else a method is asked: the same demand in other words, conditions, demands that nobody meets."""
