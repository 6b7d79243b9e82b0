"""The page in the browser. It is private and serves this computer only.

Read `app` first, which starts the server. `guard` refuses requests without the secret, and `routes` answers those for
pictures and files. `studio` holds the open files and colors them in the background. `session` has the settings of a
file, `pictures` and `looks` make previews, `names` names colors, `takehome` writes the files to download, `downloads`
makes them in the background, and `samples` has photos to try. `page` lays out the widgets, with `dialogs` and
`widgets`. The page's own components are in `static`: the stage with the photo, the row of looks, the strip, the first
page, and the drop area. `connections` closes silent connections, and `logs` shortens the messages of libraries. This
package imports `jobs` and what that may import.
"""
