"""AmazonSender: a self-hosted mailout executor for Amazon SES."""

from importlib.metadata import version

__version__ = version("amazonsender")
