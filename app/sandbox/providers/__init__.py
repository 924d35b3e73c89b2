"""What the stand-ins for SendGrid and Mailgun have in common."""
