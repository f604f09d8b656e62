"""What is fast, against whom. Each module is a command; its results lie in results/."""
