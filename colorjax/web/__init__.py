"""The page in the browser: private, on this computer only.

Read `app` first: it serves. `guard` lets in who has the secret, `routes` is what may be asked. `studio` holds what a
person has open, and works in the background; `session` is what is set for a file, `looks` how it then looks,
`takehome` what comes of it. `page` lays out the widgets, of which our own are in `static`: the stage with the photo,
the row of looks, the strip, the first look, and files in. This wing imports `jobs` and what it stands on.
"""
