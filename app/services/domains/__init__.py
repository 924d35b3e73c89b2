"""What receivers see of a sender's domain in DNS: looked at, watched, and told."""
