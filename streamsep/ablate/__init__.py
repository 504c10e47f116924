"""The ablations of arXiv 2604.09371 in small: variants of a paper model, trained side by side and compared."""
