"""Why a value is what it is: layer by layer, condition by condition, and at a past moment."""
