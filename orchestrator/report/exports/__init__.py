"""A run, with the runs below it, in the forms that other programs read. ``forms.FORMS`` is the table of them."""
