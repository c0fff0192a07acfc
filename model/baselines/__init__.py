"""What a user would do instead, and what the papers compare with: every method one small file, one protocol."""
