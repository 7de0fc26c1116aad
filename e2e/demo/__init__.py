"""The product from nothing to a first answer, on one machine and by one command."""
