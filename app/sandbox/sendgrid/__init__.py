"""A stand-in for Twilio SendGrid, made from Twilio's documentation."""
