"""What Amazon says of our account, our sender and the way of the events, in each region."""
