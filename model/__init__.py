"""The two-stage user targeting model: needs torch, transformers, peft, numpy and pyarrow."""
