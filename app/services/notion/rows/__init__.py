"""The life of a row: looked at, asked, answered."""
