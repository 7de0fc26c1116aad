"""Programs of a model pod: launcher, fetcher and the entry point of our image."""
