"""A hub that speaks Hugging Face's protocol and serves folders; faults on demand."""
