"""Spark jobs: a lake becomes feature partitions, training pairs and embeddings."""
