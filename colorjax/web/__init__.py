"""The page in the browser: private, on this computer only.

Read `app` first: it serves. `guard` lets in who has the secret, `entries` what may be asked, `page` lays out
the widgets, `session` holds what a person has opened and chosen, apart from any widget. This wing imports
`jobs` and what it stands on.
"""
