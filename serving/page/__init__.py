"""The page for people who have a question and no programme: static files, and what only a page asks of a desk."""
