"""What is to be told of the records that receivers read. Pure."""
