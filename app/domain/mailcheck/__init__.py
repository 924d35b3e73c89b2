"""What of an author's HTML and CSS large mail programs don't show as it was meant."""
