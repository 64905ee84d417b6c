"""AI Teacher: a chat service whose retrieval, model and cost are tuned per user, in the database."""
