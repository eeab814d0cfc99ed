"""Protected pushes: keys by system title, opening, and the reason where one does not open."""
