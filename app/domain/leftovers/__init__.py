"""What other programs' templates leave behind in a mail: `*|FNAME|*`, `[[name]]`, `<%= name %>`.

Their readers would see it as it stands, so it is named before, with what to write here instead.
"""
