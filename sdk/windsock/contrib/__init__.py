"""What opens a request of windsock where a framework begins one; each module imports its own framework."""
