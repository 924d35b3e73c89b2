"""How mailbox providers, Amazon and block lists see the sender: looked at hourly."""
