"""What receivers read in DNS about a sender's domain: SPF, DKIM, DMARC. Pure."""
