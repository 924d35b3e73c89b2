"""How settings are found and read, beside what each is (app/settings.py)."""
