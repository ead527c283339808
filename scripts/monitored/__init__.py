"""Lines made in code, to measure what monitors are worth: nothing wrong, or one thing wrong by so much."""
