"""The textbook training loop."""
