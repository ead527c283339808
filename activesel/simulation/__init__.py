"""Whole flywheels on labelled images, with simulated people and what they cost, beside twins that do without a part."""
