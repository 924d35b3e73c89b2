"""A stand-in for Mailgun, made from Mailgun's documentation."""
