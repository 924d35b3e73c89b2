"""Details of the past that are dropped (migrations/functions/retention/)."""
