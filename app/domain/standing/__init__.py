"""How mailbox providers, Amazon and block lists see the sender. Pure."""
