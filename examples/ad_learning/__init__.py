"""Ad learning: winners, learning cycles, model promotion and budget changes, tuned by the flag `learning`."""
