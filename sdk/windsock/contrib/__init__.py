"""Open windsock requests along with those of a framework; each module imports its own framework."""
