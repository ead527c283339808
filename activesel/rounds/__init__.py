"""A round of the flywheel: its steps in order, where each one stands, and what waits for whom."""
