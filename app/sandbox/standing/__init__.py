"""What SES says of a sender's standing: reputation, dedicated IPs, block lists, VDM."""
