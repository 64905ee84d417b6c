"""What the agent works with: settings, wallet, retrieval, the language model."""
