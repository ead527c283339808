"""A flywheel with a blind spot, round by round, and the page that tells of it."""
