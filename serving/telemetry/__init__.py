"""What a server tells of itself: metrics, spans, log lines. None of them holds a sentence or a user id."""
