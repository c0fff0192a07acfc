"""What a model is worth on the scenarios of a lake."""
