"""DNS, by dnspython."""
