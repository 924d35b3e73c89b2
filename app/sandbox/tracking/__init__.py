"""Open and click tracking, as SES does it, and readers who open and click."""
