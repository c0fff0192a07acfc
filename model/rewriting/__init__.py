"""Query rewriting (paper, section 4.4.1): a marketer's demand as sentences of the lake's templates, and conditions."""
