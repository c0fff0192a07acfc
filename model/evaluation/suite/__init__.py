"""Every method on a lake's scenarios: what they answer, what is kept of it, and the report of all lakes."""
